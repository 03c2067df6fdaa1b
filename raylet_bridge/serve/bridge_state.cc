#include "raylet_bridge/serve/bridge_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace netsense {
namespace {

constexpr int64_t kGcsSilenceLimitMs = 5000;  // and at least three ticks

}  // namespace

std::string GcsProblem(const BridgeState& state, MonotonicTime now) {
  if (!state.gcs_heard) return "the GCS has not answered yet";
  const int64_t age_ms = MillisSince(*state.gcs_heard, now);
  if (age_ms <= std::max<int64_t>(kGcsSilenceLimitMs, 3 * int64_t{state.settings.tick_ms}))
    return state.gcs_watch_problem;
  return fmt::format("the GCS has not answered for {} ms: this is what it said then", age_ms);
}

}  // namespace netsense
