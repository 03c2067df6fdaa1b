// The HTTP API of a bridge: the one list of what it answers. docs/architecture.md says what each document is.
#pragma once

#include <functional>
#include <vector>

#include "raylet_bridge/bridge_state.h"
#include "raylet_bridge/http_server.h"

namespace netsense {

struct HttpApiOptions {
  std::function<BridgeState()> state;  // called on the server's threads
  bool whole_cluster = false;          // the head: also what all nodes report
};
std::vector<HttpRoute> HttpApiRoutes(const HttpApiOptions& options);

}  // namespace netsense
