// What a program tells the service manager that started it: systemd, for units of Type=notify. Nothing is told, and
// nothing fails, where nobody listens (NOTIFY_SOCKET is not set). All functions are thread-safe and do not block.
#pragma once

#include <string>

#include "base/clock.h"

namespace netsense {

// The program does its work from now on, or has nothing left to do but wait for it.
void TellReady();
void TellStopping();
// One line for people, in `systemctl status`.
void TellStatus(const std::string& words);

// Vouches for one loop: a program whose loop stops turning is ended by its service manager, and started again. Not
// thread-safe: the loop's own thread makes it and turns it.
class Watchdog {
 public:
  // Asks once whether this process is watched, and with which limit (WATCHDOG_USEC, WATCHDOG_PID).
  Watchdog();
  // To be called at each turn of the loop; passed on every half of the limit.
  void Turn();
  // The loop must turn again at this time at the latest; MonotonicTime::max() when nobody watches.
  MonotonicTime due() const { return due_; }

 private:
  std::chrono::microseconds pause_{0};  // half of the limit; 0 = nobody watches
  MonotonicTime due_ = MonotonicTime::max();
};

}  // namespace netsense
