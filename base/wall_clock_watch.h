// Notices when somebody sets the wall clock. Our own waits go by the monotonic clock; a library's may not: absl's, and
// so gRPC's timers, sleep until a wall-clock time, and after an hour back they sleep an hour too long.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "base/unique_fd.h"

namespace netsense {

class WallClockWatch {
 public:
  // How far the wall clock is ahead of the monotonic one.
  static std::chrono::nanoseconds Lead();
  // A descriptor that becomes readable when the wall clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
  static UniqueFd Timer();

  // Calls `put` on a thread of its own each time that the clock was set: by how much, negative = back. A clock that is
  // slewed is not set. The last two are for tests.
  explicit WallClockWatch(std::function<void(std::chrono::milliseconds)> put, UniqueFd timer = Timer(),
                          std::function<std::chrono::nanoseconds()> lead = Lead);
  ~WallClockWatch();
  WallClockWatch(const WallClockWatch&) = delete;
  WallClockWatch& operator=(const WallClockWatch&) = delete;

 private:
  void Run();

  const std::function<void(std::chrono::milliseconds)> put_;
  const std::function<std::chrono::nanoseconds()> lead_;
  std::chrono::nanoseconds known_;  // the lead when it was last looked at; the thread's
  const UniqueFd timer_, quit_;
  std::thread thread_;
};

}  // namespace netsense
