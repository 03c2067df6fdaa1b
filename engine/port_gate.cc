#include "engine/port_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/deadlines.h"
#include "engine/limits.h"

namespace netsense {
PortGate::Pass::Pass(Pass&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)), port_(std::move(other.port_)) {}

PortGate::Pass::~Pass() {
  if (gate_ != nullptr) gate_->Leave(port_);
}

absl::StatusOr<PortGate::Pass> PortGate::TryEnter(const std::string& port, uint64_t speed_bps, uint64_t bytes,
                                                  MonotonicTime now, uint64_t measurement) {
  std::lock_guard lock(mutex_);
  State& state = ports_[port];
  // Without the limit whoever opens one stream after another holds the port for ever.
  if (state.streams > 0 && (measurement == 0 || measurement != state.measurement ||
                            now - state.entered_at > deadlines::kStreamsComeTogether()))
    return absl::AbortedError(absl::StrCat("port ", port, " is in another bandwidth probe"));
  if (!options_.unlimited) {
    double bytes_per_second = options_.share * static_cast<double>(speed_bps == 0 ? kAssumedSpeedBps : speed_bps) / 8;
    double capacity = std::max(static_cast<double>(options_.burst_bytes), bytes_per_second);
    double elapsed = std::chrono::duration<double>(now - state.filled_at).count();
    state.tokens = state.fresh ? capacity : std::min(capacity, state.tokens + elapsed * bytes_per_second);
    state.fresh = false;
    state.filled_at = now;
    double missing = static_cast<double>(bytes) - state.tokens;
    if (static_cast<double>(bytes) > capacity)
      return absl::ResourceExhaustedError(
          absl::StrFormat("%d bytes in one stream; port %s gives at most %.0f", bytes, port, capacity));
    if (missing > 0)
      return absl::ResourceExhaustedError(absl::StrFormat(
          "probing may take %.3g %% of port %s (%.3g Gb/s) and has: free again in %.1f s", options_.share * 100, port,
          static_cast<double>(speed_bps == 0 ? kAssumedSpeedBps : speed_bps) / 1e9, missing / bytes_per_second));
    state.tokens -= static_cast<double>(bytes);
  }
  if (state.streams == 0) state.entered_at = now;
  ++state.streams;
  state.measurement = measurement;
  return Pass(this, port);
}

void PortGate::Leave(const std::string& port) {
  std::lock_guard lock(mutex_);
  --ports_[port].streams;
}

}  // namespace netsense
