#include "engine/worker_pool.h"

#include <system_error>
#include <thread>

namespace netsense {

WorkerPool::~WorkerPool() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_ == 0; });
}

bool WorkerPool::Run(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  tasks_.push_back(std::move(task));
  if (idle_ >= tasks_.size()) {
    changed_.notify_one();
    return true;
  }
  try {
    ++threads_;
    std::thread([this] { Work(std::unique_lock(mutex_)); }).detach();
  } catch (const std::system_error&) {
    --threads_;
    tasks_.pop_back();
    return false;
  }
  return true;
}

void WorkerPool::Work(std::unique_lock<std::mutex> lock) {
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
  --threads_;
  changed_.notify_all();
}

}  // namespace netsense
