// The cluster as the head's bridge shows it: it watches all the time, so it knows by its own monotonic clock how old
// each report is, where a reader who has just come would have to believe wall clocks.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/host_port.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/identity/node_identity.h"

namespace netsense {

// Where the head's HTTP API is, as the KV key `http_api` says; nothing where no head's bridge has said so, or where
// what it says is neither the GCS's host nor the head's address: many may write to the KV, and the token is sent there.
// An error is the GCS's.
absl::StatusOr<std::optional<HostPort>> FindHeadApi(GcsClient& gcs);

// GET /api/v0/network_topology. ResourceExhausted: the cluster has more edges than that document holds. Any other error
// says why there is no answer.
absl::StatusOr<Topology> AskHeadApi(const HostPort& api, const std::string& token_file);

// The body of that answer.
absl::StatusOr<Topology> ParseTopologyDocument(const std::string& body);

}  // namespace netsense
