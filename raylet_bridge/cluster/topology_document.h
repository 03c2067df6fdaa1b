// The topology as JSON: what GET /api/v0/network_topology and `netsense-bridge status --json` give.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

// PAYLOAD of docs/architecture.md.
nlohmann::ordered_json TopologyToJson(const Topology& topology);
nlohmann::ordered_json TopologyNodeToJson(const TopologyNode& node);
nlohmann::ordered_json LostNodesToJson(const std::vector<TopologyLost>& lost);
nlohmann::ordered_json TopologyEdgeToJson(const TopologyEdge& edge);

// 256 nodes with one path for each pair: about 100 MB.
constexpr size_t kMaxTopologyDocumentEdges = 65'536;
// The document that GET /api/v0/network_topology answers with: PAYLOAD of BuildTopology in its envelope, without a
// second copy of the edges. ResourceExhausted for more edges than kMaxTopologyDocumentEdges, with what to ask instead.
// Without edges they are counted, and `edges` is empty, however many there are. `marks` as in JudgeCluster.
absl::StatusOr<std::string> TopologyDocument(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                             MonotonicTime now, const std::string& message, bool with_edges,
                                             const SlowMarks* marks);

}  // namespace netsense
