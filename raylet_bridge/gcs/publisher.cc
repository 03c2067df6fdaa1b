#include "raylet_bridge/gcs/publisher.h"

#include <utility>

#include "base/logging.h"
#include "base/process.h"

namespace netsense {

Publisher::Publisher(GcsClient* gcs, std::chrono::milliseconds retry)
    : gcs_(gcs), retry_(retry), thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

Publisher::~Publisher() = default;

void Publisher::Publish(const std::string& key, std::string value) {
  std::lock_guard lock(mutex_);
  auto [entry, added] = waiting_.insert_or_assign(key, std::move(value));
  if (!added) ++counters_.dropped;
  wake_.notify_all();
}

Publisher::Counters Publisher::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

void Publisher::Run(std::stop_token stop) {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
    }
    if (WriteAll(stop)) continue;
    std::uniform_int_distribution<int64_t> jitter(retry_.count() / 2, retry_.count() * 3 / 2);
    if (SleepUnlessStopped(stop, std::chrono::milliseconds(jitter(random_)))) return;
  }
}

bool Publisher::WriteAll(std::stop_token stop) {
  std::map<std::string, std::string> taken;
  {
    std::lock_guard lock(mutex_);
    taken = std::exchange(waiting_, {});
  }
  bool all_written = true;
  for (auto& [key, value] : taken) {
    absl::Status written = stop.stop_requested() ? absl::CancelledError() : gcs_->Put(key, value);
    std::lock_guard lock(mutex_);
    if (written.ok()) {
      ++counters_.written;
      counters_.last_written = MonotonicNow();
      if (std::exchange(failing_, false)) spdlog::info("the GCS takes this node's keys again");
      continue;
    }
    all_written = false;
    ++counters_.failed;
    if (!absl::IsCancelled(written) && !std::exchange(failing_, true))
      spdlog::warn("cannot write {}: {}; the newest values are kept, and tried again", key,
                   std::string(written.message()));
    // What was published meanwhile is newer.
    if (!waiting_.emplace(key, std::move(value)).second) ++counters_.dropped;
  }
  return all_written;
}

}  // namespace netsense
