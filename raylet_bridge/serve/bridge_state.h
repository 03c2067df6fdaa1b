// What a bridge knows at one moment: everything that its HTTP API answers from.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/engine_link/engine_driver.h"
#include "raylet_bridge/gcs/publisher.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

struct BridgeState {
  std::string node_id;
  Settings settings;
  std::shared_ptr<const ClusterView> view;  // never null; reports of others only where is_head
  MonotonicTime started{};                  // the bridge
  std::optional<MonotonicTime> gcs_heard;   // nothing = the GCS has not answered yet
  std::string gcs_watch_problem = {};       // of the GCS that this bridge serves, as GcsWatch::problem()
  EngineDriver::State engine;
  Publisher::Counters published;
};

// Why the cluster's data are not of now, or not of all nodes; empty when they are.
std::string GcsProblem(const BridgeState& state, MonotonicTime now);

}  // namespace netsense
