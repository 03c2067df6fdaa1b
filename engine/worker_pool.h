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
  WorkerPool() = default;
  // Waits for every task to return: stop them first.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the system gives no further thread.
  bool Run(std::function<void()> task);

 private:
  void Work(std::unique_lock<std::mutex> lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  bool closing_ = false;
};

}  // namespace netsense
