// The bridge of one node: follows the cluster, drives the node's engine, reports, and on the head aggregates and
// serves.
#pragma once

#include <stop_token>

#include "absl/status/status.h"
#include "raylet_bridge/bridge_setup.h"

namespace netsense {

// Runs until `stop`, the end of the node's raylet, or its death as the GCS tells: all of these are Ok. An error says
// why it could not start. An outage of the GCS or of the engine ends nothing: the last plan and the last report are
// kept.
absl::Status RunBridge(const BridgeOptions& options, std::stop_token stop);

}  // namespace netsense
