// What the head's bridge answers of the whole cluster: topology, matrix, one edge, one node.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "raylet_bridge/cluster/edge_history.h"
#include "raylet_bridge/serve/bridge_state.h"
#include "raylet_bridge/serve/http_server.h"

namespace netsense {

// All are called on the server's threads.
struct ClusterSources {
  std::function<BridgeState()> state;
  const EdgeHistory* history = nullptr;  // outlives the routes; null = no history is kept
  // The value of a KV key; nothing = the GCS has none.
  std::function<absl::StatusOr<std::optional<std::string>>(const std::string& key)> read_key;
};

std::vector<HttpRoute> ClusterRoutes(const ClusterSources& sources);

}  // namespace netsense
