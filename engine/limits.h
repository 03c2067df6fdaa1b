// What this engine never does, whatever a plan says. A wish beyond a limit is clamped, counted and told to whoever
// wished it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "netsense/engine.pb.h"

namespace netsense {

v1::EngineLimits DefaultLimits();

// The link rate that shares are taken of where the driver does not say one.
inline constexpr uint64_t kAssumedSpeedBps = 1'000'000'000;

struct ClampedPlan {
  v1::Plan plan;
  std::vector<std::string> clamped;  // one line a wish, in words
};
// InvalidArgument for a plan that has no meaning (no id, a path without id or destination, an id twice, too many
// paths).
absl::StatusOr<ClampedPlan> ClampPlan(v1::Plan plan, const v1::EngineLimits& limits);

uint32_t ClampLease(uint32_t lease_ms, const v1::EngineLimits& limits);

}  // namespace netsense
