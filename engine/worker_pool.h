// Threads for blocking calls: a task never waits for another one, so the pool grows as needed and shrinks when idle.
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace netsense {

class WorkerPool {
 public:
  static constexpr std::chrono::seconds kKeepIdle{10};

  // A thread that has had nothing to do for so long ends.
  explicit WorkerPool(std::chrono::milliseconds keep_idle = kKeepIdle) : keep_idle_(keep_idle) {}
  // Waits for every task to return, and for its thread to be gone: stop them first.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the system gives no further thread.
  bool Run(std::function<void()> task);

 private:
  using Threads = std::list<std::thread>;
  void Work(Threads::iterator self);

  const std::chrono::milliseconds keep_idle_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  Threads threads_;
  Threads ended_;  // to be joined: what a thread holds of libraries' goes with its end
  size_t idle_ = 0;
  bool closing_ = false;
};

}  // namespace netsense
