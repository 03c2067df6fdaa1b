// The nodes that a cluster had, and those of them that ended without saying so: these are LOST. A lost node is one
// until it comes back, another takes its place, somebody forgets it (netsense-bridge forget) or a week has passed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

struct LostNode {
  ClusterNode node;  // as it was when it was alive
  std::string reason;
  int64_t since_ms = 0;  // milliseconds since the Unix epoch, by the clock of the bridge that noticed
  MonotonicTime since{};
};

// Not thread-safe.
class NodeRoster {
 public:
  static constexpr std::chrono::hours kForgetAfter{7 * 24};
  // What goes beyond is not kept: the oldest of the lost, and of the alive those that came last.
  static constexpr size_t kMostLost = 256, kMostKept = 4096;
  // So long a GCS may take to see that a node is gone, whose successor is there already.
  static constexpr std::chrono::seconds kSuccessorWithin{60};

  // Takes what a roster wrote, in place of all that this one knew. InvalidArgument: it can't be read; nothing changed.
  absl::Status Load(const std::string& text, int64_t now_epoch_ms, MonotonicTime now);
  // The nodes and the lost ones, as JSON.
  const std::string& Text() const;

  // `alive` is what the GCS says now. Where one of those before is missing, `all` says how it ended
  // (GcsClient::AllNodes); an error of it is given back, and nothing has changed.
  absl::Status Update(const std::vector<ClusterNode>& alive,
                      const std::function<absl::StatusOr<std::vector<ClusterNode>>()>& all, int64_t now_epoch_ms,
                      MonotonicTime now);
  // False: no such node is lost.
  bool Forget(const std::string& node_id);

  // The oldest first.
  const std::vector<LostNode>& lost() const { return lost_; }

 private:
  struct Known {
    ClusterNode node;
    MonotonicTime joined;
    bool in_place_of_another = false;  // one node takes one place
  };

  void Note(const Known& gone, const ClusterNode* end, int64_t now_epoch_ms, MonotonicTime now);
  bool TakeSuccessor(const Known& gone, MonotonicTime now);
  void FillPlaces(const std::vector<std::string>& newcomers);

  std::map<std::string, Known> known_;  // those alive at the last Update, by node id
  std::vector<LostNode> lost_;
  mutable std::string text_;  // empty = to be made anew
};

}  // namespace netsense
