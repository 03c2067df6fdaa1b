// What GET /api/v0/network_edge answers with: an ordered pair's edges as in the topology, and their last hour.
#pragma once

#include <string>
#include <vector>

#include "raylet_bridge/cluster/edge_history.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

std::string EdgeDocument(const std::vector<TopologyEdge>& edges, const std::vector<EdgeHistory::Line>& history,
                         int64_t generated_at_ms, const std::string& message);

}  // namespace netsense
