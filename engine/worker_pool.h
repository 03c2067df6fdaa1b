// Threads for blocking calls: a task never waits for another one, so the pool grows as needed and shrinks when idle.
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace netsense {

class WorkerPool {
 public:
  static constexpr std::chrono::seconds kKeepIdle{10};

  // A thread that has had nothing to do for so long ends.
  explicit WorkerPool(std::chrono::milliseconds keep_idle = kKeepIdle) : keep_idle_(keep_idle) {}
  // Waits for every task to return: stop them first.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the system gives no further thread.
  bool Run(std::function<void()> task);

 private:
  void Work(std::unique_lock<std::mutex> lock);

  const std::chrono::milliseconds keep_idle_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  bool closing_ = false;
};

}  // namespace netsense
