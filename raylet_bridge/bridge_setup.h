// What a bridge settles once, before it begins: who it is, its token, its GCS.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/token.h"
#include "base/token_ring.h"
#include "raylet_bridge/gcs/embedded_gcs.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/identity/node_identity.h"
#include "raylet_bridge/records/choices.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

struct BridgeOptions {
  IdentityOptions identity;
  SettingsSources sources;  // without `cluster`, which the bridge reads anew each tick
  std::string token_file;
  bool insecure = false;                     // without a token, let doors and an embedded GCS be reached by anyone
  std::string gcs_listen;                    // standalone head: ADDRESS:PORT; empty = the node's address, port 18592
  bool gcs_allow_plain = false;              // standalone: as EmbeddedGcs::Options and GcsClientOptions have it
  FilePlace state_file;                      // standalone head: as RosterFile
  std::string http_listen;                   // ADDRESS:PORT; empty = the node's address and network_sense_http_port
  std::vector<std::string> http_names = {};  // by which HTTP may be asked, as HttpServer::Options::names
  FilePlace metrics_sd_file;   // Prometheus's file of targets; the usual place: the head's beside Ray's own
  std::string cluster_name;    // in that file; empty = the GCS's address
  std::string engine_program;  // empty = as FindEngineProgram
  std::string engine_socket;   // not empty: somebody else runs the engine that lives there
  std::string log_level;       // passed on to the engine
};

struct BridgeSetup {
  BridgeOptions options;
  ResolvedSettings settings;  // without what the GCS says
  NodeIdentity self;          // gcs_address filled in
  Token token;
  TokenRing tokens;                       // that is taken now; whoever changes the file changes this
  std::unique_ptr<EmbeddedGcs> embedded;  // a standalone head's
  std::unique_ptr<GcsClient> gcs;
  std::unique_ptr<GcsClient> writer_gcs;  // of the publisher, with a shorter timeout

  bool standalone() const { return self.raylet_pid == 0; }
  // Reads every node's report and answers for the whole cluster.
  bool shows_cluster() const { return self.is_head || !options.http_listen.empty(); }
};

// FailedPrecondition: other hosts could reach the door or the embedded GCS, there is no token, and `insecure` was not
// said. PermissionDenied: the token is no secret, or the engine's socket would lie where others may exchange it.
absl::StatusOr<BridgeSetup> PrepareBridge(const BridgeOptions& options);

}  // namespace netsense
