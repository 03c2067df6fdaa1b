// Which node of which cluster this bridge is.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

// What the user said of it; everything may be left empty.
struct IdentityOptions {
  bool standalone = false;  // without Ray: a new node id at each start
  bool head = false;        // standalone only
  std::string gcs_address;  // host:port; a standalone head serves it itself
  std::string node_ip;      // with Ray: selects the raylet
  std::string node_name;    // standalone only: the host's name by default
  std::optional<int> raylet_pid;
};

struct NodeIdentity {
  std::string node_id;
  std::string address;      // where other nodes reach it
  std::string hostname;     // standalone only: what it registers as
  std::string gcs_address;  // empty: a standalone head that serves it
  bool is_head = false;
  int raylet_pid = 0;       // 0 = standalone
  std::string session_dir;  // Ray's; empty = standalone
};

// With Ray: this host's raylet; codes as ChooseRaylet. Standalone: InvalidArgument when the address of the GCS is
// missing or wrong. The node's address is then --node-ip, else the one that packets to the GCS leave from; a head's is
// 127.0.0.1.
absl::StatusOr<NodeIdentity> FindIdentity(const IdentityOptions& options);

// Returns when FindIdentity finds more than nothing, or at `stop`; at once when standalone. Meanwhile the service
// manager hears that the program is ready, and waits.
void WaitForRaylet(const IdentityOptions& options, std::stop_token stop);

}  // namespace netsense
