// Untrusted: settings as JSON, from a file or from the cluster's KV, where other hosts write. What must hold: what is
// taken is within its bounds, and is the same when it is written again; a refusal steers no terminal.
#include "raylet_bridge/records/settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "raylet_bridge/records/json_fields.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

bool IsPlain(absl::string_view words) {
  return std::all_of(words.begin(), words.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

void Run(std::string_view bytes) {
  const auto values = ParseSettingsJson(std::string(bytes), "the KV key config");
  if (!values.ok()) return MustHold(IsPlain(values.status().message()), "a refusal steers no terminal");
  const SettingsSources sources{{}, {}, {}, *values};
  const auto settings = ResolveSettings(sources);
  if (!settings.ok()) return MustHold(IsPlain(settings.status().message()), "a refusal steers no terminal");
  MustHold(settings->tick_ms >= 100 && settings->lease_ms > settings->tick_ms &&
               settings->rtt_ttl_ms > settings->tick_ms && settings->rtt_alpha > 0 && settings->rtt_alpha <= 1 &&
               settings->door_port <= 65535,
           "settings are within their bounds");
  const auto effective = ExplainSettings(sources);
  MustHold(effective.ok(), "settings that hold can be explained");
  nlohmann::ordered_json written = nlohmann::ordered_json::object();
  for (const EffectiveSetting& setting : *effective) written[setting.name] = setting.value;
  const auto again = ParseSettingsJson(DumpJson(written), "again");
  MustHold(again.ok(), "settings that were written can be read");
  const auto resolved = ResolveSettings({{}, {}, {}, *again});
  MustHold(resolved.ok() && static_cast<const Settings&>(*resolved) == static_cast<const Settings&>(*settings),
           "settings are the same when they are written again");
}

const Harness kHarness("settings", Run);

}  // namespace
}  // namespace netsense::fuzz
