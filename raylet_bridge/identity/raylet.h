// Ray's raylets on this host, and the GCS they belong to, as the process table shows them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace netsense {

struct RayletProcess {
  int pid = 0;
  std::string node_id;      // 56 lower-case hex digits
  std::string gcs_address;  // host:port
  std::string node_ip;
  std::string session_dir;
  bool is_head = false;
  bool own_network = false;  // known to be in the caller's network namespace
};

// All raylets that can be seen under `proc`, by pid: processes whose program is named `raylet` and whose arguments hold
// a node id and a GCS address. Other users' processes count too. Tests give a directory of their own.
std::vector<RayletProcess> FindRaylets(const std::string& proc = "/proc");

// What the user asked for; an empty member matches every raylet.
struct RayletSelectors {
  std::optional<int> pid;
  std::optional<std::string> node_ip;
  std::optional<std::string> gcs_address;
};

// The one raylet that matches; those in the caller's own network namespace go first. NotFound when none does,
// FailedPrecondition when several do: both list the raylets there are and name the flags --raylet-pid, --node-ip and
// --gcs-address.
absl::StatusOr<RayletProcess> ChooseRaylet(const std::vector<RayletProcess>& raylets, const RayletSelectors& selectors);

// host:port of the GCS: `flag` when not empty; RAY_ADDRESS when it is host:port ("auto", "ray://..." say nothing here);
// the address that the raylets in the caller's network namespace, else all raylets of the host, agree on; the file that
// `ray start` leaves in $RAY_TMPDIR/ray, $TMPDIR/ray or /tmp/ray. InvalidArgument: `flag` is not host:port.
// FailedPrecondition: raylets of several clusters. NotFound: none of these.
absl::StatusOr<std::string> FindGcsAddress(const std::string& flag, const std::string& proc = "/proc");

}  // namespace netsense
