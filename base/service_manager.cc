#include "base/service_manager.h"

#ifdef NETSENSE_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <algorithm>

namespace netsense {
namespace {

void Tell([[maybe_unused]] const std::string& assignment) {
#ifdef NETSENSE_HAVE_SYSTEMD
  (void)sd_notify(/*unset_environment=*/0, assignment.c_str());
#endif
}

}  // namespace

void TellReady() { Tell("READY=1"); }

void TellStopping() { Tell("STOPPING=1"); }

void TellStatus(const std::string& words) {
  std::string line = words;
  std::replace(line.begin(), line.end(), '\n', ' ');  // a line of its own would be an assignment
  Tell("STATUS=" + line);
}

Watchdog::Watchdog() {
#ifdef NETSENSE_HAVE_SYSTEMD
  uint64_t limit_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/0, &limit_us) <= 0) return;
  pause_ = std::chrono::microseconds(limit_us / 2);
  due_ = MonotonicNow();
#endif
}

void Watchdog::Turn() {
  const MonotonicTime now = MonotonicNow();
  if (now < due_) return;
  Tell("WATCHDOG=1");
  due_ = now + pause_;
}

}  // namespace netsense
