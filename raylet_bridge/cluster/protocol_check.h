// Whether all nodes of a cluster speak the same protocol: an upgrade that was not finished.
#pragma once

#include <string>
#include <vector>

#include "raylet_bridge/cluster/rail_check.h"

namespace netsense {

// One line that names the nodes (a few of them) whose doors speak an older protocol than others', and what they lack.
// Empty when all speak the same.
std::vector<std::string> ProtocolWarnings(const std::vector<NodeRails>& nodes);

}  // namespace netsense
