// The page that GET /metrics answers with. docs/monitoring.md lists what is on it.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "raylet_bridge/bridge_state.h"
#include "raylet_bridge/topology.h"

namespace netsense {

// What this node itself measures, in Prometheus's text format. `cluster`, when not null, adds what all nodes report: a
// node that is gone cannot tell of itself.
std::string MetricsText(const BridgeState& state, const Topology* cluster, int64_t now_epoch_ms, MonotonicTime now);

}  // namespace netsense
