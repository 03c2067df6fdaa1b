// Writes this node's own keys to the GCS, on a thread of its own: whoever publishes never waits for the GCS.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "base/clock.h"
#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

// Keeps the newest value of each key until it is written. After a failure it tries again after `retry`, more or less a
// half, so that the nodes of a cluster don't all come at once when a GCS is back. Thread-safe.
class Publisher {
 public:
  // `gcs` outlives the publisher. Its timeout is the longest that the destructor takes.
  Publisher(GcsClient* gcs, std::chrono::milliseconds retry);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Replaces what still waits under the same key.
  void Publish(const std::string& key, std::string value);

  struct Counters {
    uint64_t written = 0;
    uint64_t failed = 0;   // tries
    uint64_t dropped = 0;  // values that a newer one replaced before they could be written
    std::optional<MonotonicTime> last_written;
  };
  Counters counters() const;

 private:
  void Run(std::stop_token stop);
  // False when a write failed.
  bool WriteAll(std::stop_token stop);

  GcsClient* const gcs_;
  const std::chrono::milliseconds retry_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<std::string, std::string> waiting_;
  Counters counters_;
  bool failing_ = false;  // of the thread alone: one log line per outage
  std::minstd_rand random_{std::random_device{}()};
  std::jthread thread_;
};

}  // namespace netsense
