// Reads what the cluster's nodes say of themselves in the GCS, and remembers when it saw their reports change.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "raylet_bridge/cluster/node_roster.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

// Not thread-safe.
class ClusterReader {
 public:
  // `gcs` outlives the reader. `own`: the roster that the head keeps; else what the head wrote of it is read.
  explicit ClusterReader(GcsClient* gcs, NodeRoster* own = nullptr) : gcs_(gcs), own_roster_(own) {}

  // Reads the alive nodes and their doors, and with `reports` their reports and which nodes are lost. After an error
  // view() is what it was before.
  absl::Status Poll(bool reports, MonotonicTime now = MonotonicNow());

  // Never changes once it is given: the next Poll makes another one.
  const std::shared_ptr<const ClusterView>& view() const { return view_; }

 private:
  void RememberSightings(ClusterView& view, MonotonicTime now) const;
  absl::Status FindLost(const std::map<std::string, std::string>& values, ClusterView& view, MonotonicTime now);

  GcsClient* const gcs_;
  NodeRoster* const own_roster_;
  NodeRoster roster_;        // where there is no own one
  std::string roster_text_;  // what it was loaded from
  bool polled_ = false;      // a report that was not there at the last Poll, or was another one, was written since then
  std::shared_ptr<const ClusterView> view_ = std::make_shared<const ClusterView>();
};

}  // namespace netsense
