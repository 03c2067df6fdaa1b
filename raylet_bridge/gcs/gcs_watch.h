// Whether a GCS that this process serves still takes new connections, which those who are connected can't tell.
#pragma once

#include <mutex>
#include <string>
#include <thread>

#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

// Once a second, from a thread of its own, by a fresh connection and one call over it.
class GcsWatch {
 public:
  explicit GcsWatch(GcsClientOptions options);

  // What came of the last try, in words; empty = it was served, or none is over yet. Thread-safe.
  std::string problem() const;

 private:
  void Run(const std::stop_token& stop);

  const GcsClientOptions options_;
  mutable std::mutex mutex_;
  std::string problem_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace netsense
