// Rails: rail N joins position N of every node.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/inventory/node.h"

namespace netsense::inventory {

// Sets rail and reason of every port. `by_hand` names the ports of rail 0, 1, ... by name, netdev, RDMA device or PCI
// address; InvalidArgument when a name fits no port or one is named twice. Empty: the rank by PCI address among the
// compute ports that are neither virtual functions nor members of a bond; never a number in a name. Where an address is
// not known there are no rails, and the notes say so; only software's own ports, which have none, go by name.
absl::Status AssignRails(const std::vector<std::string>& by_hand, Node* node);

}  // namespace netsense::inventory
