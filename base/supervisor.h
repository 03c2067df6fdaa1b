// Keeps something running that ends: a child process, above all.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>

namespace netsense {

// Runs it on a thread of its own, at once and again after each end: with a pause, which doubles from `first` to
// `longest`, and is `first` again after a run of `healthy_after` or more.
class Supervisor {
 public:
  struct Pauses {
    std::chrono::milliseconds first, longest;
    std::chrono::seconds healthy_after;
  };
  // From the start to the end, or until it is told to stop; how it ended, in words.
  using RunOnce = std::function<std::string(const std::stop_token& stop)>;
  // It ended by itself, and is started again after the pause. On the supervisor's thread, as RunOnce.
  using OnEnd = std::function<void(const std::string& how, std::chrono::milliseconds pause)>;

  Supervisor(Pauses pauses, RunOnce run_once, OnEnd on_end);

  // Begins to stop, without waiting. The destructor waits. Thread-safe.
  void RequestStop() { thread_.request_stop(); }

 private:
  std::jthread thread_;
};

}  // namespace netsense
