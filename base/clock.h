// The two clocks: monotonic for timers, ages and measurements; wall clock only for display and for agreeing on slots
// between hosts. A step of the wall clock must never change an age or a result.
#pragma once

#include <chrono>
#include <cstdint>

namespace netsense {

using MonotonicTime = std::chrono::steady_clock::time_point;

inline MonotonicTime MonotonicNow() { return std::chrono::steady_clock::now(); }

inline int64_t MillisSince(MonotonicTime then, MonotonicTime now = MonotonicNow()) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count();
}

// Milliseconds since the Unix epoch.
inline int64_t EpochMillis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace netsense
