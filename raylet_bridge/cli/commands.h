// The subcommands of netsense-bridge beside `run`. Each prints to standard output, problems to standard error, and
// returns the program's exit code: 0 good, 1 (status alone) some edge is bad, 2 wrong usage, 3 could not ask.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raylet_bridge/cli/status.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

inline constexpr int kExitUsage = 2;
inline constexpr int kExitFailed = 3;

struct GcsAccess {
  std::string address;  // host:port; empty = as FindGcsAddress
  std::string token_file;
};

struct StatusOptions {
  GcsAccess gcs;
  SettingsSources sources;
  StatusStyle style;  // color is found out by RunStatus
  bool json = false;
  std::optional<std::chrono::milliseconds> watch;  // draws again each so often until `stop`
};
int RunStatus(const StatusOptions& options, std::stop_token stop);

// Effective settings and where each comes from. A GCS that can't be reached is no error unless it was named.
int ShowConfig(const GcsAccess& gcs, SettingsSources sources, bool json);
// Writes one setting of the cluster's, or removes it, in the KV key `config`; refuses what ResolveSettings would.
int SetConfig(const GcsAccess& gcs, const std::string& key, const std::string& value);
int UnsetConfig(const GcsAccess& gcs, const std::string& key);
// Removes all of the cluster's settings.
int ClearConfig(const GcsAccess& gcs);

// Has the head forget a lost node: `name` is its id, eight or more first digits of it, its host name or its address.
// Returns when it has. InvalidArgument (2) lists those that are lost.
int ForgetNode(const GcsAccess& gcs, const std::string& name);

// Puts a new token in the place of this node's, and the old one beside it (base/token.h). `next_file`: where to read
// it,
// "-" = standard input, empty = it is made up.
int RotateToken(const std::string& token_file, const std::string& next_file);

absl::StatusOr<std::unique_ptr<GcsClient>> OpenGcs(const GcsAccess& access);
// Prints the error; kExitUsage for InvalidArgument, else kExitFailed.
int FailCommand(const absl::Status& status);

}  // namespace netsense
