// A line on the terminal that tells how far a long piece of work is.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"

namespace netsense {

// Redraws one line on stderr while alive, when stderr is a terminal and the work takes longer than a second.
// Thread-safe.
class Progress {
 public:
  // With a known duration the line moves by itself; without one, by Set (share of the work, 0 to 1).
  Progress(std::string what, std::optional<std::chrono::nanoseconds> duration, bool wanted);
  ~Progress();
  void Set(double done) { done_ = done; }

 private:
  void Draw();

  const std::string what_;
  const std::optional<std::chrono::nanoseconds> duration_;
  const MonotonicTime start_ = MonotonicNow();
  std::atomic<double> done_ = 0;
  std::jthread thread_;
};

}  // namespace netsense
