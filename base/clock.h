// The two clocks: monotonic for timers, ages and measurements; wall clock only for display and for agreeing on slots
// between hosts. A step of the wall clock must never change an age or a result.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

using MonotonicTime = std::chrono::steady_clock::time_point;

inline MonotonicTime MonotonicNow() { return std::chrono::steady_clock::now(); }

inline int64_t MillisSince(MonotonicTime then, MonotonicTime now = MonotonicNow()) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count();
}

// Milliseconds since the Unix epoch, by this host's clock: the one place where the product takes a time from it
// (gRPC's deadlines and wall_clock_watch.h are waits). For tests of what
// a cluster whose clocks differ does, the environment variable NETSENSE_CLOCK_OFFSET_MS is added: read at the first
// call, in this process for good; what is no whole number of milliseconds within ten years is said in the log, once,
// and counts as 0. Thread-safe.
int64_t EpochMillis();

// InvalidArgument: no such offset.
absl::StatusOr<int64_t> ParseClockOffset(const std::string& text);

}  // namespace netsense
