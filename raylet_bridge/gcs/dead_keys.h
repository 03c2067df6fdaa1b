// Removes the KV keys of nodes that are no longer alive. One bridge of the cluster does it, the head's.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

// Not thread-safe.
class DeadKeys {
 public:
  // `gcs` outlives it.
  explicit DeadKeys(GcsClient* gcs) : gcs_(gcs) {}

  // Looks through all keys at the first call, then removes only those of nodes that left `alive` since the last call.
  // What could not be removed is tried again at the next call.
  absl::Status Remove(const std::vector<ClusterNode>& alive);

 private:
  GcsClient* const gcs_;
  bool scanned_ = false;
  std::set<std::string> alive_, to_remove_;  // node ids
};

}  // namespace netsense
