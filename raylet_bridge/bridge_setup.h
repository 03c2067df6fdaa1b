// What a bridge settles once, before it begins: who it is, its token, its GCS.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/token.h"
#include "raylet_bridge/bridge.h"
#include "raylet_bridge/gcs/embedded_gcs.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/identity/node_identity.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

struct BridgeSetup {
  BridgeOptions options;
  Settings settings;  // without what the GCS says
  NodeIdentity self;  // gcs_address filled in
  Token token;
  std::unique_ptr<EmbeddedGcs> embedded;  // a standalone head's
  std::unique_ptr<GcsClient> gcs;
  std::unique_ptr<GcsClient> writer_gcs;  // of the publisher, with a shorter timeout

  bool standalone() const { return self.raylet_pid == 0; }
  // Reads every node's report and answers for the whole cluster.
  bool shows_cluster() const { return self.is_head || !options.http_listen.empty(); }
};

// FailedPrecondition: other hosts could reach the door or the embedded GCS, there is no token, and `insecure` was not
// said.
absl::StatusOr<BridgeSetup> PrepareBridge(const BridgeOptions& options);

}  // namespace netsense
