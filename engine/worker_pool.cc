#include "engine/worker_pool.h"

#include <system_error>
#include <thread>

namespace netsense {

WorkerPool::~WorkerPool() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_.empty(); });
  lock.unlock();
  for (std::thread& thread : ended_) thread.join();
}

bool WorkerPool::Run(std::function<void()> task) {
  Threads ended;
  bool started = true;
  {
    std::lock_guard lock(mutex_);
    ended.swap(ended_);
    tasks_.push_back(std::move(task));
    if (idle_ >= tasks_.size()) {
      changed_.notify_one();
    } else {
      auto self = threads_.emplace(threads_.end());
      try {
        *self = std::thread([this, self] { Work(self); });
      } catch (const std::system_error&) {
        threads_.erase(self);
        tasks_.pop_back();
        started = false;
      }
    }
  }
  for (std::thread& thread : ended) thread.join();  // they have left the lock, or are about to
  return started;
}

void WorkerPool::Work(Threads::iterator self) {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    bool woken = changed_.wait_for(lock, keep_idle_, [this] { return closing_ || !tasks_.empty(); });
    --idle_;
    if (tasks_.empty()) {
      if (woken && !closing_) continue;
      break;
    }
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
  // Under the lock to the last: the destructor may run as soon as it is released.
  ended_.splice(ended_.end(), threads_, self);
  changed_.notify_all();
}

}  // namespace netsense
