#include "base/wall_clock_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <limits>
#include <utility>

#include "base/clock.h"

namespace netsense {
namespace {

// Between a clock that is set and one that is slewed, or read a moment late.
constexpr std::chrono::milliseconds kLeastStep{50};

std::chrono::nanoseconds Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

// The boot-time clock goes on while the machine sleeps, as the wall clock does.
std::chrono::nanoseconds WallClockWatch::Lead() { return Read(CLOCK_REALTIME) - Read(CLOCK_BOOTTIME); }

UniqueFd WallClockWatch::Timer() {
  UniqueFd timer(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<time_t>::max();
  if (timer) timerfd_settime(timer.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr);
  return timer;
}

WallClockWatch::WallClockWatch(std::function<void(std::chrono::milliseconds)> put, UniqueFd timer,
                               std::function<std::chrono::nanoseconds()> lead)
    : put_(std::move(put)),
      lead_(std::move(lead)),
      known_(lead_()),
      timer_(std::move(timer)),
      quit_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

WallClockWatch::~WallClockWatch() {
  eventfd_write(quit_.get(), 1);
  thread_.join();
}

void WallClockWatch::Run() {
  while (true) {
    pollfd fds[2] = {{timer_.get(), POLLIN, 0}, {quit_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    uint64_t ignored = 0;
    (void)!read(timer_.get(), &ignored, sizeof(ignored));  // ECANCELED; the timer stays armed
    const auto step = std::chrono::duration_cast<std::chrono::milliseconds>(lead_() - known_);
    if (step < kLeastStep && step > -kLeastStep) continue;
    known_ += step;
    put_(step);
  }
}

}  // namespace netsense
