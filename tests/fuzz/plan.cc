// Untrusted: the plan that comes in by an engine's control socket. What must hold: whatever it wishes for, what is
// granted is within the engine's limits; and what was granted is granted again as it is.
#include "engine/limits.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/messages.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const auto plan = ReadMessage<v1::Plan>(bytes);
  const v1::EngineLimits limits = DefaultLimits();
  const auto granted = ClampPlan(plan, limits);
  if (!granted.ok()) return;
  const v1::Plan& it = granted->plan;
  MustHold(it.lease_ms() <= limits.max_lease_ms() && it.lease_ms() > 0, "a lease is within the limits");
  MustHold(static_cast<uint32_t>(it.paths_size()) <= limits.max_paths(), "there are no more paths than the limit");
  MustHold(it.ping_concurrency() >= 1 && it.ping_concurrency() <= 64 && it.rtt_window() >= 1 && it.rtt_alpha() > 0 &&
               it.rtt_alpha() <= 1,
           "what a plan says of all paths is within the limits");
  for (const v1::PlannedPath& path : it.paths()) {
    MustHold(path.ping_interval_ms() >= limits.min_ping_interval_ms() &&
                 path.ping_payload_bytes() <= limits.max_ping_payload_bytes() && path.ping_timeout_ms() > 0,
             "no plan has more pings than the limits");
    if (path.bandwidth_slots() == 0) continue;
    MustHold(uint64_t{path.bandwidth_slots()} * path.bandwidth_slot_ms() >= limits.min_bandwidth_interval_ms() &&
                 path.bandwidth_bytes() <= limits.max_stream_bytes() && path.bandwidth_slot() < path.bandwidth_slots(),
             "no plan has more streams than the limits");
  }
  const auto again = ClampPlan(it, limits);
  MustHold(again.ok() && again->clamped.empty(), "what was granted is granted again as it is");
}

const Harness kHarness("plan", Run);

}  // namespace
}  // namespace netsense::fuzz
