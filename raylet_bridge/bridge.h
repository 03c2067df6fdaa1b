// The bridge of one node: follows the cluster, drives the node's engine, reports, and on the head aggregates and
// serves.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "raylet_bridge/identity/node_identity.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

struct BridgeOptions {
  IdentityOptions identity;
  SettingsSources sources;  // without `cluster`, which the bridge reads anew each tick
  std::string token_file;
  bool insecure = false;        // without a token, let doors and an embedded GCS be reached by anyone
  std::string gcs_listen;       // standalone head: ADDRESS:PORT; empty = the node's address, port 18592
  std::string state_file;       // standalone head: as RosterFile
  std::string http_listen;      // ADDRESS:PORT; empty = the node's address and network_sense_http_port
  std::string metrics_sd_file;  // Prometheus's file of targets; empty = the head's beside Ray's own, "off" = none
  std::string cluster_name;     // in that file; empty = the GCS's address
  std::string engine_program;   // empty = as FindEngineProgram
  std::string engine_socket;    // not empty: somebody else runs the engine that lives there
  std::string log_level;        // passed on to the engine
};

// Runs until `stop`, the end of the node's raylet, or its death as the GCS tells: all of these are Ok. An error says
// why it could not start. An outage of the GCS or of the engine ends nothing: the last plan and the last report are
// kept.
absl::Status RunBridge(const BridgeOptions& options, std::stop_token stop);

}  // namespace netsense
