#include "raylet_bridge/cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "raylet_bridge/cli/head_api.h"
#include "raylet_bridge/cluster/cluster_reader.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/gcs/tls.h"
#include "raylet_bridge/identity/raylet.h"
#include "raylet_bridge/identity/start_anew.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kConfigOrigin[] = "the KV key config";
constexpr std::chrono::milliseconds kLookAgain{250};
constexpr int64_t kLongestWatchMs = 15'000;
constexpr char kNoApi[] =
    "the head's bridge does not say where its HTTP API is, or at an address that is not the head's";

// The settings that the cluster's configuration leads to; without it when it is bad, which is said.
absl::StatusOr<Settings> SettingsOf(GcsClient& gcs, SettingsSources sources) {
  ASSIGN_OR_RETURN(auto text, gcs.Get(kConfigKey));
  if (auto cluster = ParseSettingsJson(text.value_or(""), kConfigOrigin); cluster.ok()) {
    SettingsSources with_cluster = sources;
    with_cluster.cluster = *std::move(cluster);
    if (auto settings = ResolveSettings(with_cluster); settings.ok()) return settings;
  }
  return ResolveSettings(sources);
}

bool WantsColor() {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

// A reader who has just come knows of no report how old it is: it looks again until each has changed, or is STALE.
absl::Status Watch(ClusterReader& reader, const Settings& settings, std::stop_token stop) {
  const MonotonicTime begun = MonotonicNow();
  while (true) {
    const MonotonicTime looked = MonotonicNow();
    RETURN_IF_ERROR(reader.Poll(/*reports=*/true));
    int64_t wait_ms = 0;
    for (const auto& [node_id, sighting] : reader.view()->sightings) {
      const int64_t ttl_ms = reader.view()->reports.at(node_id)->ttl_ms;
      if (!sighting.seen_to_change) wait_ms = std::max(wait_ms, ttl_ms > 0 ? ttl_ms : int64_t{settings.rtt_ttl_ms});
    }
    if (MillisSince(begun) > std::min(wait_ms, kLongestWatchMs) || wait_ms == 0) return absl::OkStatus();
    // Of a large cluster a look takes a while itself.
    if (SleepUnlessStopped(stop, std::max<MonotonicTime::duration>(kLookAgain, MonotonicNow() - looked)))
      return absl::OkStatus();
  }
}

absl::StatusOr<Topology> ReadTopology(GcsClient& gcs, ClusterReader& reader, const StatusOptions& options,
                                      std::string& note, std::stop_token stop) {
  // Over TLS the token never crosses the network in clear; the HTTP API has none.
  if (auto tls = TlsFromEnvironment(); tls.ok() && !tls->has_value()) {
    ASSIGN_OR_RETURN(auto api, FindHeadApi(gcs));
    auto asked = api.has_value() ? AskHeadApi(*api, options.gcs.token_file) : absl::NotFoundError(kNoApi);
    if (asked.ok()) return asked;
    if (!absl::IsResourceExhausted(asked.status())) note = std::string(asked.status().message());
  }
  ASSIGN_OR_RETURN(auto settings, SettingsOf(gcs, options.sources));
  RETURN_IF_ERROR(Watch(reader, settings, stop));
  return BuildTopology(*reader.view(), settings, EpochMillis(), MonotonicNow());
}

// The cluster's own settings as a JSON object, for a change.
absl::StatusOr<Json> ReadConfig(GcsClient& gcs) {
  ASSIGN_OR_RETURN(auto text, gcs.Get(kConfigKey));
  if (auto values = ParseSettingsJson(text.value_or(""), kConfigOrigin); !values.ok())
    return absl::FailedPreconditionError(
        fmt::format("{}; remove it by: netsense-bridge config unset --all", std::string(values.status().message())));
  auto config = Json::parse(text.value_or(""), nullptr, /*allow_exceptions=*/false);
  return config.is_object() ? config : Json::object();
}

absl::Status WriteConfig(GcsClient& gcs, const Json& config) {
  if (config.empty()) return gcs.Delete(kConfigKey);
  SettingsSources sources;
  ASSIGN_OR_RETURN(sources.cluster, ParseSettingsJson(DumpJson(config), kConfigOrigin));
  if (auto settings = ResolveSettings(sources); !settings.ok()) return settings.status();
  return gcs.Put(kConfigKey, DumpJson(config));
}

void EraseSetting(Json& config, const std::string& name) {
  const std::string prefix = "network_sense_";
  config.erase(name);
  config.erase(name.substr(prefix.size()));
}

std::string FullName(const std::string& key) {
  return key.starts_with("network_sense_") ? key : "network_sense_" + key;
}

int ChangeConfig(const GcsAccess& access, const std::string& key, const std::optional<std::string>& value) {
  auto gcs = OpenGcs(access);
  if (!gcs.ok()) return FailCommand(gcs.status());
  auto config = ReadConfig(**gcs);
  if (!config.ok()) return FailCommand(config.status());
  EraseSetting(*config, FullName(key));
  if (value) {
    auto literal = Json::parse(*value, nullptr, /*allow_exceptions=*/false);
    (*config)[FullName(key)] = literal.is_boolean() || literal.is_number() ? literal : Json(*value);
  }
  if (auto written = WriteConfig(**gcs, *config); !written.ok()) return FailCommand(written);
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GcsClient>> OpenGcs(const GcsAccess& access) {
  ASSIGN_OR_RETURN(auto address, FindGcsAddress(access.address));
  return GcsClient::Create({.address = address, .token_file = access.token_file});
}

int FailCommand(const absl::Status& status) {
  std::cerr << "netsense-bridge: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int RunStatus(const StatusOptions& options, std::stop_token stop) {
  auto gcs = OpenGcs(options.gcs);
  if (!gcs.ok()) return FailCommand(gcs.status());
  ClusterReader reader(gcs->get());
  StatusStyle style = options.style;
  style.color = WantsColor();
  const auto watch = options.watch ? StartAnewWhenTheClockIsPutBack("") : nullptr;
  const bool redraw = options.watch && isatty(STDOUT_FILENO) == 1;
  int exit_code = kExitFailed;
  std::string note, told;
  do {
    auto topology = ReadTopology(**gcs, reader, options, note, stop);
    if (redraw) std::cout << "\x1b[H\x1b[2J";
    if (topology.ok()) {
      exit_code = StatusExitCode(*topology, style);
      std::cout << (options.json ? StatusJson(*topology) + "\n" : RenderStatus(*topology, style));
      if (options.watch && !redraw && !options.json) std::cout << "\n";
      if (note != told) std::cerr << "netsense-bridge: " << note << ": read from the GCS instead\n";
      told = note;
    } else {
      exit_code = FailCommand(topology.status());
    }
    std::cout << std::flush;
  } while (options.watch && !SleepUnlessStopped(stop, *options.watch));
  return exit_code;
}

int ShowConfig(const GcsAccess& access, SettingsSources sources, bool json) {
  std::string note;
  auto gcs = OpenGcs(access);
  auto text = gcs.ok() ? (*gcs)->Get(kConfigKey) : absl::StatusOr<std::optional<std::string>>(gcs.status());
  if (text.ok()) {
    auto cluster = ParseSettingsJson(text->value_or(""), kConfigOrigin);
    if (!cluster.ok()) return FailCommand(cluster.status());
    sources.cluster = *std::move(cluster);
  } else if (!access.address.empty()) {
    return FailCommand(text.status());
  } else {
    note = "without the cluster's own settings: " + std::string(text.status().message());
  }
  auto effective = ExplainSettings(sources);
  if (!effective.ok()) return FailCommand(effective.status());
  if (json) {
    Json list = Json::array();
    for (const auto& setting : *effective)
      list.push_back({{"name", setting.name}, {"value", setting.value}, {"source", setting.source}});
    std::cout << DumpJson({{"schema_version", 1}, {"note", note}, {"settings", list}}) << "\n";
    return 0;
  }
  if (!note.empty()) std::cerr << "netsense-bridge: " << note << "\n";
  for (const auto& setting : *effective)
    std::cout << fmt::format("{:<40} {:<12} {}\n", setting.name, setting.value, setting.source);
  return 0;
}

int SetConfig(const GcsAccess& access, const std::string& key, const std::string& value) {
  return ChangeConfig(access, key, value);
}

int UnsetConfig(const GcsAccess& access, const std::string& key) { return ChangeConfig(access, key, std::nullopt); }

int ClearConfig(const GcsAccess& access) {
  auto gcs = OpenGcs(access);
  if (!gcs.ok()) return FailCommand(gcs.status());
  if (auto removed = (*gcs)->Delete(kConfigKey); !removed.ok()) return FailCommand(removed);
  return 0;
}

}  // namespace netsense
