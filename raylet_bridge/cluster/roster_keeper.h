// The head's bridge keeps over its own restarts which nodes the cluster has, and, where it serves the GCS itself, the
// cluster's settings; and it forgets the lost nodes that it is asked to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "raylet_bridge/cluster/node_roster.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/gcs/publisher.h"
#include "raylet_bridge/records/choices.h"

namespace netsense {

// Not thread-safe.
class RosterKeeper {
 public:
  // `gcs` outlives it. `file`: for an embedded GCS, which ends with its bridge; empty = the GCS's KV keeps all.
  RosterKeeper(GcsClient* gcs, std::string file) : gcs_(gcs), file_(std::move(file)) {}

  NodeRoster* roster() { return &roster_; }
  // Reads what was kept, once; to be called before the roster's first Update. An error of the GCS: to be called again.
  absl::Status Begin();
  // After each Update: takes the requests to forget, writes what is new to KV and file, and says in the log who is
  // lost. `config`: what the KV key of this name holds.
  absl::Status Turn(const std::optional<std::string>& config, Publisher& publisher);

 private:
  absl::Status ForgetAsAsked();
  absl::Status ReadFile();
  void SayWhatIsNew();
  void WriteFile(const std::string& content);

  GcsClient* const gcs_;
  const std::string file_;
  NodeRoster roster_;
  bool begun_ = false, failing_ = false;
  std::string written_, file_written_;       // to the KV, to the file
  std::map<std::string, std::string> said_;  // the lost nodes that the log tells of: id -> what it is called
};

// Where a standalone head keeps them, that serves its GCS at `gcs_address`; empty = nowhere. The usual place is
// $STATE_DIRECTORY (systemd's), $XDG_STATE_HOME/netsense or ~/.local/state/netsense, if there is one.
std::string RosterFile(const FilePlace& place, const std::string& gcs_address);

}  // namespace netsense
