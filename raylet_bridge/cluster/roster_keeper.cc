#include "raylet_bridge/cluster/roster_keeper.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/replace_file.h"
#include "base/status_macros.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr mode_t kOwn = 0600;
constexpr size_t kLongest = 16 << 20;  // a thousand nodes take some 300 kB
constexpr char kNothing[] = R"({"schema_version":1})";

std::string NameOf(const ClusterNode& node) {
  return fmt::format("{} ({}, {})", node.node_id.substr(0, 8), Printable(node.hostname), Printable(node.address));
}

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::Status RosterKeeper::Begin() {
  if (begun_) return absl::OkStatus();
  if (!file_.empty()) {
    RETURN_IF_ERROR(ReadFile());
  } else {
    ASSIGN_OR_RETURN(auto kept, gcs_->Get(kRosterKey));
    if (auto loaded = roster_.Load(kept.value_or(kNothing), EpochMillis(), MonotonicNow()); !loaded.ok())
      spdlog::warn("{} (the KV key roster): nodes that were lost before are not known", std::string(loaded.message()));
  }
  begun_ = true;
  return absl::OkStatus();
}

absl::Status RosterKeeper::ReadFile() {
  auto file = OpenToRead(file_);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  // It holds the cluster's settings, too: whoever may write it sets them.
  if (auto trusted = file.ok() ? CheckTrusted(file->get(), file_) : file.status(); !trusted.ok()) {
    spdlog::warn(
        "the state file is left out: {}; nodes that were lost before are not known, nor the cluster's settings",
        std::string(trusted.message()));
    return absl::OkStatus();
  }
  const std::string text = ReadUpTo(kLongest, file->get());
  if (text.empty()) return absl::OkStatus();
  const auto kept = ParseJson(text);
  const bool readable = kept.is_object() && kept.contains("roster") && kept["roster"].is_string();
  if (!readable || !roster_.Load(kept["roster"].get<std::string>(), EpochMillis(), MonotonicNow()).ok()) {
    spdlog::warn("{} can't be read: nodes that were lost before are not known, nor the cluster's settings", file_);
    return absl::OkStatus();
  }
  if (!kept.contains("config") || !kept["config"].is_string()) return absl::OkStatus();
  auto set_since = gcs_->Get(kConfigKey);
  if (!set_since.ok() || set_since->has_value()) return set_since.status();
  return gcs_->Put(kConfigKey, kept["config"].get<std::string>());
}

absl::Status RosterKeeper::Turn(const std::optional<std::string>& config, Publisher& publisher) {
  RETURN_IF_ERROR(ForgetAsAsked());
  SayWhatIsNew();
  if (roster_.Text() != written_) {
    written_ = roster_.Text();
    publisher.Publish(kRosterKey, written_);
  }
  if (file_.empty()) return absl::OkStatus();
  Json kept = {{"roster", written_}};
  if (config) kept["config"] = *config;
  if (std::string content = DumpJson(kept); content != file_written_) WriteFile(content);
  return absl::OkStatus();
}

absl::Status RosterKeeper::ForgetAsAsked() {
  auto asked = gcs_->Get(kForgetKey);
  if (!asked.ok() || !asked->has_value()) return asked.status();
  const auto ids = ParseJson(**asked);
  if (ids.is_array())
    for (const auto& id : ids)
      if (id.is_string() && roster_.Forget(id.get<std::string>()))
        spdlog::info("node {} is forgotten, as asked", id.get<std::string>());
  return gcs_->Delete(kForgetKey);
}

void RosterKeeper::SayWhatIsNew() {
  std::map<std::string, std::string> now;
  for (const LostNode& lost : roster_.lost()) {
    now[lost.node.node_id] = NameOf(lost.node);
    if (!said_.contains(lost.node.node_id))
      spdlog::warn("node {} is LOST: {}", NameOf(lost.node), Printable(lost.reason));
  }
  for (const auto& [id, name] : said_)
    if (!now.contains(id)) spdlog::info("node {} is lost no more: back, replaced or forgotten", name);
  said_ = std::move(now);
}

void RosterKeeper::WriteFile(const std::string& content) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), error);
  auto written = ReplaceFile(file_, content, kOwn);
  if (!written.ok() && !failing_)
    spdlog::warn(
        "{}: after a restart of this bridge nobody will know which nodes were lost, nor the cluster's settings "
        "(--state-file)",
        std::string(written.status().message()));
  if (written.ok()) file_written_ = content;
  failing_ = !written.ok();
}

std::string RosterFile(const FilePlace& place, const std::string& gcs_address) {
  if (place.off || !place.path.empty()) return place.path;
  std::filesystem::path folder = Env("STATE_DIRECTORY");
  if (folder.empty() && !Env("XDG_STATE_HOME").empty())
    folder = std::filesystem::path(Env("XDG_STATE_HOME")) / "netsense";
  else if (folder.empty() && !Env("HOME").empty())
    folder = std::filesystem::path(Env("HOME")) / ".local/state/netsense";
  if (folder.empty()) return "";
  return folder / fmt::format("roster-{}.json", gcs_address);
}

}  // namespace netsense
