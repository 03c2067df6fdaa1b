// What GET /api/v0/network_node answers with: one node as in the topology, and its inventory.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

// `inventory`: the value of the node's KV key, or why it could not be had; nothing = the node wrote none.
std::string NodeDocument(const TopologyNode& node, const absl::StatusOr<std::optional<std::string>>& inventory,
                         const std::string& message);

}  // namespace netsense
