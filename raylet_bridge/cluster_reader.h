// Reads what the cluster's nodes say of themselves in the GCS, and remembers when it saw their reports change.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "base/clock.h"
#include "raylet_bridge/gcs_client.h"
#include "raylet_bridge/topology.h"

namespace netsense {

// Not thread-safe.
class ClusterReader {
 public:
  // `gcs` outlives the reader.
  explicit ClusterReader(GcsClient* gcs) : gcs_(gcs) {}

  // Reads the alive nodes and their doors, and with `reports` their reports. After an error view() is what it was
  // before.
  absl::Status Poll(bool reports, MonotonicTime now = MonotonicNow());

  // Never changes once it is given: the next Poll makes another one.
  const std::shared_ptr<const ClusterView>& view() const { return view_; }

 private:
  void RememberSightings(ClusterView& view, MonotonicTime now) const;

  GcsClient* const gcs_;
  std::shared_ptr<const ClusterView> view_ = std::make_shared<const ClusterView>();
};

}  // namespace netsense
