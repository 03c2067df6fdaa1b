// Which addresses are whose. Whoever may write the cluster's KV writes door records, too; so a rail's address out of
// one is dialled only once the node itself has named it, over its proven door, at the address where the node list has
// it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "netsense/engine.pb.h"
#include "netsense/session.pb.h"

namespace netsense {

// Not thread-safe.
class NamedAddresses {
 public:
  // What the peer of a path's session said when it opened; counts for nothing unless that was at the node's own
  // address.
  void Learn(const v1::PlannedPath& path, const v1::SessionReply::Grant& grant);
  // Ok: it may be dialled. Internal: not yet, since the node has not said, or is of a release that does not say it;
  // PermissionDenied: the node names others. What a node named last counts, for as long as it is in the plan: its rails
  // are measured although its own address does not answer any more.
  absl::Status Check(const v1::PlannedPath& path) const;
  // Forgets the nodes that this plan does not have.
  void Keep(const v1::Plan& plan);

 private:
  struct Named {
    std::vector<std::string> addresses;
    std::string version;  // of its software
  };
  std::map<std::string, Named> nodes_;  // by node id
};

}  // namespace netsense
