// Every `network_sense_*` setting, its default, and where its value came from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/plain_transport.h"
#include "raylet_bridge/records/choices.h"

namespace netsense {

struct Settings {
  // Ray's prototype's keys and defaults.
  bool enabled = false;
  uint32_t tick_ms = 2000;     // one round trip per path, one report per node, each tick
  uint32_t rtt_m = 5;          // window: the last M round trips
  double rtt_alpha = 0.3;      // EWMA of the window's median
  uint32_t rtt_ttl_ms = 6000;  // older reports are STALE
  uint32_t rtt_concurrency_per_node = 2;
  bool bw_enabled = false;
  uint64_t bw_payload_bytes = 1048576;
  uint32_t bw_m = 3;
  double bw_alpha = 0.3;
  uint32_t bw_concurrency_per_node = 1;
  // Ours.
  uint32_t rtt_timeout_ms = 500;
  uint32_t rtt_payload_bytes = 64;
  uint32_t bw_slot_ms = 1000;  // one round of pairs: (nodes - 1) x 2 slots visit every ordered pair
  uint32_t lease_ms = 6000;    // an engine that hears no bridge for so long stops probing
  uint32_t door_port = 18590;
  uint32_t http_port = 18591;
  TransportChoice transports{.names = {kPlainTransport}};  // in the order of the plan
  // auto: as the engine finds them; off: paths by the kernel's routes alone; by hand: the ports of rail 0, 1, ...
  Selection rails{};
  Selection cpus{};             // auto: those next to the port; off: any; by hand: these
  bool metrics_detail = false;  // node x node on /metrics, beside the roll-ups

  bool operator==(const Settings&) const = default;
};

// Where values come from, the strongest first. Keys are full names ("network_sense_tick_ms").
struct SettingsSources {
  std::map<std::string, std::string> flags;
  std::map<std::string, std::string> environment;  // from SettingsFromEnvironment
  std::map<std::string, std::string> file;         // from ParseSettingsJson
  std::map<std::string, std::string> cluster;      // the KV key `config`, from ParseSettingsJson
};

struct SettingDescription {
  std::string name;  // "network_sense_tick_ms"
  std::string default_value;
  std::string help;  // one line, with the unit and the range
};
// The one table that everything about settings is derived from, in the order of `Settings`.
std::vector<SettingDescription> DescribeSettings();

// NETSENSE_<NAME> (NETSENSE_TICK_MS) before RAY_network_sense_<name> (RAY_network_sense_tick_ms). A misspelt
// RAY_network_sense_* comes along, for ResolveSettings to refuse; other NETSENSE_* variables are not settings and stay
// out.
std::map<std::string, std::string> SettingsFromEnvironment();

// A JSON object, keys with or without the prefix `network_sense_`; values are JSON booleans, numbers, or strings
// holding one. `origin` names the text in error messages. Empty text = no settings.
absl::StatusOr<std::map<std::string, std::string>> ParseSettingsJson(const std::string& json,
                                                                     const std::string& origin);

// Settings that know where they came from. Two that differ in that alone are equal.
struct ResolvedSettings : Settings {
  std::map<std::string, std::string>
      source_of;  // full name -> flag, environment, file or cluster; absent = the default

  // Whether somebody named its value, be it the default's.
  bool IsNamed(uint32_t Settings::*setting) const;
};

// InvalidArgument names the setting, the value, its source and what would be right. Unknown keys are an error too, with
// the nearest known name. An error in one source spoils the whole: the caller keeps its last good settings, or ends.
absl::StatusOr<ResolvedSettings> ResolveSettings(const SettingsSources& sources);

// "network_sense_tick_ms" -> {"500", "flag"}: effective values with their source, for `netsense-bridge config`.
struct EffectiveSetting {
  std::string name, value;
  std::string source;  // flag, environment, file, cluster or default
};
// In the order of DescribeSettings. Errors as ResolveSettings.
absl::StatusOr<std::vector<EffectiveSetting>> ExplainSettings(const SettingsSources& sources);

}  // namespace netsense
