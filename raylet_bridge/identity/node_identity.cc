#include "raylet_bridge/identity/node_identity.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/strings/escaping.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/resolve.h"
#include "base/service_manager.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "base/utf8.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/identity/raylet.h"
#include "raylet_bridge/identity/start_anew.h"

namespace netsense {
namespace {

constexpr size_t kNodeIdBytes = 28;
constexpr std::chrono::seconds kLookForRaylets{1};

std::string RandomNodeId() {
  std::string bytes(kNodeIdBytes, '\0');
  while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  return absl::BytesToHexString(bytes);
}

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

// The address that packets to `host_port` leave from. Nothing is sent: connecting a datagram socket only asks the
// routing table.
absl::StatusOr<std::string> AddressTowards(const std::string& host_port) {
  ASSIGN_OR_RETURN(auto peer, ParseHostPort(host_port, "--gcs-address"));
  auto resolved = ResolveHost(peer.host, peer.port, MonotonicNow() + deadlines::kNameLookup(), {});
  if (absl::IsUnavailable(resolved.status()))
    return absl::InvalidArgumentError(
        fmt::format("{}: correct --gcs-address", Printable(std::string(resolved.status().message()))));
  ASSIGN_OR_RETURN(auto found, std::move(resolved));
  UniqueFd fd(socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage local{};
  socklen_t size = sizeof(local);
  char host[NI_MAXHOST] = "";
  if (!fd || connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&local), size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) != 0)
    return absl::UnavailableError(
        fmt::format("no route to the GCS at {}: give this node's own address by --node-ip", Printable(host_port)));
  return std::string(host);
}

absl::StatusOr<NodeIdentity> Standalone(const IdentityOptions& options) {
  NodeIdentity identity;
  identity.node_id = NodeIdFromBefore();
  if (identity.node_id.empty()) identity.node_id = RandomNodeId();
  const std::string name = options.node_name.empty() ? HostName() : options.node_name;
  identity.hostname = ToUtf8(name);
  if (identity.hostname != name)
    spdlog::warn("this node's name {} is no UTF-8: it is called {}", Printable(name), identity.hostname);
  identity.is_head = options.head;
  identity.gcs_address = options.gcs_address;
  identity.address = options.node_ip;
  if (options.head) {
    if (!options.gcs_address.empty())
      return absl::InvalidArgumentError(
          "--head --standalone serves the GCS itself: say where by --gcs-listen, and leave --gcs-address away");
    if (identity.address.empty()) identity.address = "127.0.0.1";
    return identity;
  }
  if (options.gcs_address.empty())
    return absl::InvalidArgumentError("--standalone needs --gcs-address HOST:PORT of the head's bridge, or --head");
  RETURN_IF_ERROR(CheckGcsAddress(options.gcs_address));
  if (identity.address.empty()) {
    ASSIGN_OR_RETURN(identity.address, AddressTowards(options.gcs_address));
  }
  return identity;
}

RayletSelectors Selectors(const IdentityOptions& options) {
  RayletSelectors selectors;
  selectors.pid = options.raylet_pid;
  if (!options.node_ip.empty()) selectors.node_ip = options.node_ip;
  if (!options.gcs_address.empty()) selectors.gcs_address = options.gcs_address;
  return selectors;
}

}  // namespace

absl::StatusOr<NodeIdentity> FindIdentity(const IdentityOptions& options) {
  if (options.standalone) return Standalone(options);
  if (options.head || !options.node_name.empty())
    return absl::InvalidArgumentError("--head and --node-name go with --standalone: with Ray they are Ray's to say");
  ASSIGN_OR_RETURN(auto raylet, ChooseRaylet(FindRaylets(), Selectors(options)));
  return NodeIdentity{raylet.node_id, raylet.node_ip,    "", raylet.gcs_address, raylet.is_head,
                      raylet.pid,     raylet.session_dir};
}

void WaitForRaylet(const IdentityOptions& options, std::stop_token stop) {
  if (options.standalone) return;
  Watchdog watchdog;
  for (bool told = false;; told = true) {
    auto raylet = ChooseRaylet(FindRaylets(), Selectors(options));
    if (!absl::IsNotFound(raylet.status())) return;
    if (!told) {
      spdlog::info("waiting: {}", std::string(raylet.status().message()));
      TellReady();
      TellStatus("waiting for a raylet on this host");
    }
    watchdog.Turn();
    if (SleepUnlessStopped(stop, kLookForRaylets)) return;
  }
}

}  // namespace netsense
