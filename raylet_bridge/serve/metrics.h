// The page that GET /metrics answers with. docs/monitoring.md lists what is on it.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "raylet_bridge/serve/bridge_state.h"

namespace netsense {

// What this node itself measures, in Prometheus's text format. `whole_cluster` adds what all nodes report: a node that
// is gone cannot tell of itself.
std::string MetricsText(const BridgeState& state, bool whole_cluster, int64_t now_epoch_ms, MonotonicTime now);

}  // namespace netsense
