#include "engine/limits.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

constexpr uint32_t kMinLeaseMs = 100;

// Clamps one field and says so.
class Clamp {
 public:
  Clamp(std::string where, std::vector<std::string>* told) : where_(std::move(where)), told_(told) {}

  template <typename T>
  T operator()(const char* field, T wish, T low, T high) const {
    T granted = std::clamp(wish, low, high);
    if (granted != wish) told_->push_back(absl::StrCat(where_, ": ", field, " ", wish, " -> ", granted));
    return granted;
  }

 private:
  std::string where_;
  std::vector<std::string>* told_;
};

}  // namespace

v1::EngineLimits DefaultLimits() {
  v1::EngineLimits limits;
  limits.set_min_ping_interval_ms(100);
  limits.set_max_ping_payload_bytes(8192);
  limits.set_min_bandwidth_interval_ms(1000);
  limits.set_max_stream_bytes(64 << 20);
  limits.set_max_bandwidth_share(0.05);
  limits.set_max_paths(16384);
  limits.set_max_lease_ms(60'000);
  return limits;
}

uint32_t ClampLease(uint32_t lease_ms, const v1::EngineLimits& limits) {
  return std::clamp(lease_ms, kMinLeaseMs, limits.max_lease_ms());
}

absl::StatusOr<ClampedPlan> ClampPlan(v1::Plan plan, const v1::EngineLimits& limits) {
  if (plan.plan_id().empty()) return absl::InvalidArgumentError("a plan needs a plan_id");
  if (static_cast<uint32_t>(plan.paths_size()) > limits.max_paths())
    return absl::InvalidArgumentError(
        absl::StrCat("a plan of ", plan.paths_size(), " paths; this engine takes at most ", limits.max_paths()));
  ClampedPlan result;
  Clamp whole("plan", &result.clamped);
  plan.set_lease_ms(whole("lease_ms", plan.lease_ms(), kMinLeaseMs, limits.max_lease_ms()));
  plan.set_rtt_window(whole("rtt_window", plan.rtt_window(), 1u, 1000u));
  plan.set_bandwidth_window(whole("bandwidth_window", plan.bandwidth_window(), 1u, 1000u));
  plan.set_ping_concurrency(whole("ping_concurrency", plan.ping_concurrency(), 1u, 64u));
  plan.set_bandwidth_concurrency(whole("bandwidth_concurrency", plan.bandwidth_concurrency(), 1u, 16u));
  for (double alpha : {plan.rtt_alpha(), plan.bandwidth_alpha()})
    if (!(alpha > 0 && alpha <= 1)) return absl::InvalidArgumentError("an alpha must be above 0 and at most 1");

  std::set<std::string> ids;
  for (v1::PlannedPath& path : *plan.mutable_paths()) {
    if (path.path_id().empty() || path.dst_address().empty() || path.transport().empty() || path.dst_port() == 0 ||
        path.dst_port() > 65535)
      return absl::InvalidArgumentError(
          absl::StrCat("path '", path.path_id(), "' needs an id, a transport, a destination address and a port"));
    if (!ids.insert(path.path_id()).second)
      return absl::InvalidArgumentError(absl::StrCat("path '", path.path_id(), "' stands twice in the plan"));
    Clamp clamp("path " + path.path_id(), &result.clamped);
    path.set_ping_interval_ms(
        clamp("ping_interval_ms", path.ping_interval_ms(), limits.min_ping_interval_ms(), 3'600'000u));
    path.set_ping_timeout_ms(clamp("ping_timeout_ms", path.ping_timeout_ms(), 1u, 60'000u));
    path.set_ping_payload_bytes(
        clamp("ping_payload_bytes", path.ping_payload_bytes(), 0u, limits.max_ping_payload_bytes()));
    if (path.bandwidth_slots() == 0) continue;
    path.set_bandwidth_bytes(
        clamp("bandwidth_bytes", path.bandwidth_bytes(), uint64_t{65536}, limits.max_stream_bytes()));
    path.set_bandwidth_slot_ms(clamp("bandwidth_slot_ms", path.bandwidth_slot_ms(), 10u, 3'600'000u));
    uint32_t slots_for_interval =
        (limits.min_bandwidth_interval_ms() + path.bandwidth_slot_ms() - 1) / path.bandwidth_slot_ms();
    path.set_bandwidth_slots(clamp("bandwidth_slots", path.bandwidth_slots(), slots_for_interval, 1'000'000u));
    path.set_bandwidth_timeout_ms(clamp("bandwidth_timeout_ms", path.bandwidth_timeout_ms(), 10u, 60'000u));
    if (path.bandwidth_slot() >= path.bandwidth_slots())
      return absl::InvalidArgumentError(absl::StrCat("path '", path.path_id(), "': its slot lies past the last one"));
  }
  result.plan = std::move(plan);
  return result;
}

}  // namespace netsense
