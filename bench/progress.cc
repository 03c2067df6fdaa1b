#include "bench/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/process.h"

namespace netsense {

Progress::Progress(std::string what, std::optional<std::chrono::nanoseconds> duration, bool wanted)
    : what_(std::move(what)), duration_(duration) {
  if (!wanted || isatty(STDERR_FILENO) == 0) return;
  thread_ = std::jthread([this](const std::stop_token& stop) {
    if (SleepUnlessStopped(stop, std::chrono::seconds(1))) return;
    do Draw();
    while (!SleepUnlessStopped(stop, std::chrono::milliseconds(200)));
    std::cerr << "\r\033[K" << std::flush;
  });
}

Progress::~Progress() = default;

void Progress::Draw() {
  double seconds = std::chrono::duration<double>(MonotonicNow() - start_).count();
  double done = duration_ ? seconds / std::chrono::duration<double>(*duration_).count() : done_.load();
  done = std::clamp(done, 0.0, 1.0);
  std::cerr << fmt::format("\r\033[K{}: {:.0f} %", what_, done * 100);
  if (done > 0.01) std::cerr << fmt::format(", {:.0f} s left", seconds / done - seconds);
  std::cerr << std::flush;
}

}  // namespace netsense
