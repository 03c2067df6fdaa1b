// Speaks to a GCS (global control store): Ray's own, or the embedded one (embedded_gcs.h). Same wire, same client.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadlines.h"
#include "raylet_bridge/records/cluster_node.h"

namespace netsense {

struct GcsClientOptions {
  std::string address;     // host:port
  std::string token_file;  // as base/token.h; the token is read again whenever the GCS answers UNAUTHENTICATED
  std::chrono::milliseconds timeout = deadlines::kGcsCall();  // of each call
  bool allow_plain =
      true;  // to a GCS that does not know the hello, as Ray's: without TLS it is shown the token in clear
};

// Refuses, with InvalidArgument, what is not host:port (an IPv6 address in brackets, [::1]:6379).
absl::Status CheckGcsAddress(const std::string& address);

// Thread-safe. Calls block for at most the timeout. Never exits or aborts because of what a GCS answers; after an
// outage the next call simply works again. Codes: Unavailable (no GCS there), DeadlineExceeded, Unauthenticated (token
// missing or wrong), NotFound, InvalidArgument (a node id that is not 56 hex digits: checked here, since a GCS aborts
// on it), Internal (anything else the GCS said, with its code and words).
class GcsClient {
 public:
  // Connects at the first call. InvalidArgument: the address is not host:port; other errors: a token file or TLS file
  // that was named can't be read. Environment: RAY_USE_TLS, RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY, RAY_TLS_CA_CERT
  // (mutual TLS, PEM files).
  static absl::StatusOr<std::unique_ptr<GcsClient>> Create(GcsClientOptions options);
  virtual ~GcsClient() = default;

  virtual const std::string& address() const = 0;

  // Alive nodes only, sorted by node id.
  virtual absl::StatusOr<std::vector<ClusterNode>> AliveNodes() = 0;
  // Alive and dead: costly on a large old cluster (a thousand dead come along); to find out why a node is not among the
  // alive.
  virtual absl::StatusOr<std::vector<ClusterNode>> AllNodes() = 0;

  // The embedded GCS only: Ray's raylets register themselves. Repeating it is the heartbeat.
  virtual absl::Status RegisterNode(const ClusterNode& node) = 0;
  virtual absl::Status UnregisterNode(const std::string& node_id) = 0;

  // Keys and values in the KV namespace `network_sense`.
  virtual absl::StatusOr<std::optional<std::string>> Get(const std::string& key) = 0;
  // Absent keys are absent from the answer.
  virtual absl::StatusOr<std::map<std::string, std::string>> MultiGet(const std::vector<std::string>& keys) = 0;
  virtual absl::Status Put(const std::string& key, const std::string& value) = 0;
  virtual absl::Status Delete(const std::string& key) = 0;
  // Scans the whole table on the GCS's main loop: rarely.
  virtual absl::StatusOr<std::vector<std::string>> KeysWithPrefix(const std::string& prefix) = 0;
};

}  // namespace netsense
