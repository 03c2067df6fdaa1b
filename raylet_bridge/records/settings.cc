#include "raylet_bridge/records/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/json_depth.h"
#include "base/logging.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

const std::string kPrefix = "network_sense_";

using Member = std::variant<bool Settings::*, uint32_t Settings::*, uint64_t Settings::*, double Settings::*,
                            TransportChoice Settings::*, Selection Settings::*>;

// What a list of names may hold.
struct Names {
  const char* expected;
  const char* punctuation;  // beside letters and digits
};
constexpr Names kTransportNames{"all, or names of transports with commas between them, each once (tcp,grpc,ucx,verbs)",
                                "_"};
constexpr Names kCpuNames{"auto, off, or processors with commas between them (0-3,8)", "-"};
constexpr Names kPortNames{
    "auto, off, or the ports of rail 0, 1, ... with commas between them, each once (mlx5_0,mlx5_3)", "_-.:@"};

struct Row {
  const char* name;  // without the prefix
  Member member;
  uint64_t low, high;  // whole numbers: both included; fractions: low left out; booleans and names: not used
  const char* help;
  const Names* names = nullptr;
};

// The upper ends of the payloads and of the lease are the engine's own limits: what it would clamp is refused here, in
// words.
const Row kTable[] = {
    {"enabled", &Settings::enabled, 0, 1, "probe the peers at all"},
    {"tick_ms", &Settings::tick_ms, 100, 50'000,
     "milliseconds between round trips on one path, and between a node's reports"},
    {"rtt_m", &Settings::rtt_m, 1, 1000, "window: round trips whose median and spread are reported"},
    {"rtt_alpha", &Settings::rtt_alpha, 0, 1, "weight of the newest median in the smoothed round trip"},
    {"rtt_ttl_ms", &Settings::rtt_ttl_ms, 200, 86'400'000, "milliseconds after which a report is STALE"},
    {"rtt_concurrency_per_node", &Settings::rtt_concurrency_per_node, 1, 64,
     "round trips a node has under way at once"},
    {"bw_enabled", &Settings::bw_enabled, 0, 1, "measure bandwidth too"},
    {"bw_payload_bytes", &Settings::bw_payload_bytes, 65'536, 67'108'864, "bytes of payload of one bandwidth probe"},
    {"bw_m", &Settings::bw_m, 1, 1000, "window: bandwidth probes whose median is reported"},
    {"bw_alpha", &Settings::bw_alpha, 0, 1, "weight of the newest median in the smoothed bandwidth"},
    {"bw_concurrency_per_node", &Settings::bw_concurrency_per_node, 1, 16,
     "bandwidth probes a node has under way at once"},
    {"rtt_timeout_ms", &Settings::rtt_timeout_ms, 1, 60'000, "milliseconds after which a round trip counts as lost"},
    {"rtt_payload_bytes", &Settings::rtt_payload_bytes, 1, 8192, "bytes of payload of one round trip, each way"},
    {"bw_slot_ms", &Settings::bw_slot_ms, 10, 3'600'000,
     "milliseconds of one bandwidth slot: one pair per port at a time"},
    {"lease_ms", &Settings::lease_ms, 200, 60'000, "milliseconds an engine probes on without hearing from its bridge"},
    {"door_port", &Settings::door_port, 0, 65'535, "TCP port of a node's door (0 = any free one)"},
    {"http_port", &Settings::http_port, 0, 65'535, "TCP port of a bridge's HTTP (0 = any free one)"},
    {"transports", &Settings::transports, 0, 0, "transports that are measured on each path, one after another",
     &kTransportNames},
    {"rails", &Settings::rails, 0, 0, "rails that are measured one by one", &kPortNames},
    {"cpus", &Settings::cpus, 0, 0, "processors that an engine's probing threads run on", &kCpuNames},
    {"metrics_detail", &Settings::metrics_detail, 0, 1,
     "show each edge on /metrics too: up to 56 series for each of nodes x (nodes - 1) edges per transport and rail"},
};

const Row* FindRow(const std::string& full_name) {
  for (const Row& row : kTable)
    if (kPrefix + row.name == full_name) return &row;
  return nullptr;
}

// Levenshtein's distance.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string NearestName(const std::string& unknown) {
  std::string wanted = absl::AsciiStrToLower(unknown.substr(0, 100)), best;
  size_t best_distance = SIZE_MAX;
  for (const Row& row : kTable) {
    size_t distance = EditDistance(wanted, kPrefix + row.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = kPrefix + row.name;
    }
  }
  return best;
}

std::string Expected(const Row& row) {
  if (std::holds_alternative<bool Settings::*>(row.member)) return "true or false";
  if (row.names != nullptr) return row.names->expected;
  if (std::holds_alternative<double Settings::*>(row.member))
    return fmt::format("a number above {} and up to {}", row.low, row.high);
  return fmt::format("a whole number from {} to {}", row.low, row.high);
}

std::string ValueText(const Row& row, const Settings& settings) {
  auto text = [](const auto& value) {
    if constexpr (requires { value.Text(); })
      return value.Text();
    else
      return fmt::format("{}", value);
  };
  return std::visit([&](auto member) { return text(settings.*member); }, row.member);
}

bool IsNameList(const std::string& text, const char* punctuation) {
  const std::vector<std::string> names = absl::StrSplit(text, ',');
  for (const std::string& name : names) {
    const bool plain = std::all_of(name.begin(), name.end(), [punctuation](char c) {
      return absl::ascii_isalnum(c) || (c != '\0' && std::strchr(punctuation, c) != nullptr);
    });
    if (name.empty() || name.size() > 32 || !plain || std::count(names.begin(), names.end(), name) > 1) return false;
  }
  return names.size() <= 64;
}

// Puts `text` into the row's member; false when it is not what Expected(row) says.
bool Assign(const Row& row, const std::string& text, Settings& settings) {
  if (const auto* flag = std::get_if<bool Settings::*>(&row.member)) {
    std::string word = absl::AsciiStrToLower(text);
    if (word != "true" && word != "false" && word != "1" && word != "0") return false;
    settings.** flag = word == "true" || word == "1";
    return true;
  }
  if (row.names != nullptr) {
    if (!IsNameList(text, row.names->punctuation)) return false;
    if (const auto* selection = std::get_if<Selection Settings::*>(&row.member))
      settings.** selection = ParseSelection(text);
    else
      settings.*std::get<TransportChoice Settings::*>(row.member) = ParseTransportChoice(text);
    return true;
  }
  const char* end = text.data() + text.size();
  if (const auto* fraction = std::get_if<double Settings::*>(&row.member)) {
    double value = 0;
    auto [rest, error] = std::from_chars(text.data(), end, value);
    // Written so that NaN is refused too.
    if (error != std::errc() || rest != end || !(value > static_cast<double>(row.low))) return false;
    if (value > static_cast<double>(row.high)) return false;
    settings.** fraction = value;
    return true;
  }
  uint64_t value = 0;
  auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < row.low || value > row.high) return false;
  if (const auto* small = std::get_if<uint32_t Settings::*>(&row.member))
    settings.** small = static_cast<uint32_t>(value);
  else
    settings.*std::get<uint64_t Settings::*>(row.member) = value;
  return true;
}

}  // namespace

bool ResolvedSettings::IsNamed(uint32_t Settings::*setting) const {
  return std::any_of(std::begin(kTable), std::end(kTable), [&](const Row& row) {
    return row.member == Member(setting) && source_of.contains(kPrefix + row.name);
  });
}

absl::StatusOr<ResolvedSettings> ResolveSettings(const SettingsSources& sources) {
  const std::pair<const char*, const std::map<std::string, std::string>&> weakest_first[] = {
      {"cluster", sources.cluster},
      {"file", sources.file},
      {"environment", sources.environment},
      {"flag", sources.flags},
  };
  ResolvedSettings resolved;
  for (const auto& [source, values] : weakest_first) {
    for (const auto& [name, text] : values) {
      const Row* row = FindRow(name);
      if (row == nullptr)
        return absl::InvalidArgumentError(
            fmt::format("unknown setting '{}' ({}): did you mean {}?", Printable(name), source, NearestName(name)));
      if (!Assign(*row, text, resolved))
        return absl::InvalidArgumentError(
            fmt::format("{} is '{}' ({}): it must be {}", name, Printable(text), source, Expected(*row)));
      resolved.source_of[name] = source;
    }
  }
  const Settings& s = resolved;
  const std::pair<const char*, uint32_t> longer_than_tick[] = {{"rtt_ttl_ms", s.rtt_ttl_ms}, {"lease_ms", s.lease_ms}};
  for (const auto& [name, value] : longer_than_tick)
    if (value <= s.tick_ms)
      return absl::InvalidArgumentError(
          fmt::format("{0}{1} is {2}, not longer than {0}tick_ms, {3}: it would always run out between two ticks. "
                      "Set it to {4} or so, or the tick shorter",
                      kPrefix, name, value, s.tick_ms, 3ULL * s.tick_ms));
  return resolved;
}

std::vector<SettingDescription> DescribeSettings() {
  std::vector<SettingDescription> all;
  for (const Row& row : kTable)
    all.push_back({kPrefix + row.name, ValueText(row, Settings()), fmt::format("{}: {}", row.help, Expected(row))});
  return all;
}

std::map<std::string, std::string> SettingsFromEnvironment() {
  constexpr char kRay[] = "RAY_network_sense_", kOurs[] = "NETSENSE_";
  std::map<std::string, std::string> from_ray, ours;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text = *entry;
    size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    std::string variable = text.substr(0, equals), value = text.substr(equals + 1);
    if (variable.starts_with(kRay)) {
      from_ray[kPrefix + variable.substr(sizeof(kRay) - 1)] = value;
    } else if (variable.starts_with(kOurs) && variable == absl::AsciiStrToUpper(variable)) {
      std::string name = kPrefix + absl::AsciiStrToLower(variable.substr(sizeof(kOurs) - 1));
      if (FindRow(name) != nullptr) ours[name] = value;
    }
  }
  ours.merge(from_ray);
  return ours;
}

absl::StatusOr<std::map<std::string, std::string>> ParseSettingsJson(const std::string& json,
                                                                     const std::string& origin) {
  std::map<std::string, std::string> values;
  if (absl::StripAsciiWhitespace(json).empty()) return values;
  if (IsNestedDeeper(json)) return absl::InvalidArgumentError(fmt::format("{} is nested too deeply", origin));
  auto document = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object())
    return absl::InvalidArgumentError(
        fmt::format("{} is not a JSON object: it must look like {{\"network_sense_tick_ms\": 2000}}", origin));
  for (const auto& [key, value] : document.items()) {
    std::string name = key.starts_with(kPrefix) ? key : kPrefix + key;
    if (!value.is_boolean() && !value.is_number() && !value.is_string())
      return absl::InvalidArgumentError(fmt::format("{}: '{}' must be a boolean, a number or a string, not a JSON {}",
                                                    origin, Printable(key), value.type_name()));
    if (!values.emplace(name, value.is_string() ? value.get<std::string>() : value.dump()).second)
      return absl::InvalidArgumentError(
          fmt::format("{}: '{}' is given twice, with and without its prefix: remove one", origin, Printable(name)));
  }
  return values;
}

absl::StatusOr<std::vector<EffectiveSetting>> ExplainSettings(const SettingsSources& sources) {
  ASSIGN_OR_RETURN(auto resolved, ResolveSettings(sources));
  std::vector<EffectiveSetting> all;
  for (const Row& row : kTable) {
    auto source = resolved.source_of.find(kPrefix + row.name);
    all.push_back({kPrefix + row.name, ValueText(row, resolved),
                   source == resolved.source_of.end() ? "default" : source->second});
  }
  return all;
}

}  // namespace netsense
