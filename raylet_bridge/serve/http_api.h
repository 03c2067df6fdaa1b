// The HTTP API of a bridge: the one list of what it answers. docs/architecture.md says what each document is.
#pragma once

#include <vector>

#include "raylet_bridge/serve/cluster_routes.h"
#include "raylet_bridge/serve/http_server.h"
#include "raylet_bridge/serve/page_routes.h"

namespace netsense {

struct HttpApiOptions {
  ClusterSources sources;
  bool whole_cluster = false;  // the head: also what all nodes report
  std::vector<PageFile> page;  // the head's: shown at `/`; empty = none
};
std::vector<HttpRoute> HttpApiRoutes(const HttpApiOptions& options);

}  // namespace netsense
