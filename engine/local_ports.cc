#include "engine/local_ports.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/socket.h"
#include "base/unique_fd.h"
#include "engine/inventory/addresses.h"
#include "engine/inventory/sysfs_netdevs.h"
#include "engine/inventory/sysfs_reader.h"
#include "engine/inventory/to_proto.h"

namespace netsense {
namespace {

using inventory::Port;
using inventory::SysfsTree;

constexpr std::chrono::seconds kRemember{30};

// The ports of this machine as they were when its devices last changed.
class PortMemory {
 public:
  // An empty port when none has it.
  Port Find(const SysfsTree& tree, std::string Port::*field, const std::string& value) {
    std::lock_guard lock(mutex_);
    auto devices = std::pair(tree.List("class/net"), tree.List("class/infiniband"));
    if (devices != devices_ || MonotonicNow() - read_at_ > kRemember) {
      ports_ = inventory::ReadSysfsPorts(tree);
      devices_ = std::move(devices);
      read_at_ = MonotonicNow();
    }
    for (const Port& port : ports_)
      if (port.*field == value) return port;
    return {};
  }

 private:
  std::mutex mutex_;
  std::pair<std::vector<std::string>, std::vector<std::string>> devices_;
  std::vector<Port> ports_;
  MonotonicTime read_at_{};
};

PortMemory& Memory() {
  static PortMemory memory;
  return memory;
}

// What may change at any time.
void Refresh(const Port& now, Port* port) {
  if (now.speed_bps > 0) port->speed_bps = now.speed_bps;
  port->mtu = now.mtu;
}

Port ReadPort(const inventory::Link& link) {
  if (auto tree = SysfsTree::Open("/sys"); tree.ok()) {
    Port now = inventory::ReadNetdev(*tree, link.netdev).port;
    Port port = Memory().Find(*tree, &Port::netdev, link.netdev);
    if (IsSameDevice(link, now) && IsSameDevice(link, port)) {
      Refresh(now, &port);
      return port;
    }
  }
  // Without a /sys of this namespace there is the name at least.
  Port port;
  port.name = port.netdev = link.netdev;
  return port;
}

}  // namespace

v1::Port PortOfAddress(const std::string& address) {
  const std::optional<inventory::Link> link = inventory::LinkOfAddress(address);
  if (!link) return {};
  Port port = ReadPort(*link);
  port.addresses = {address};
  if (link->loopback) port.fabric = v1::FABRIC_KIND_LOOPBACK;
  return inventory::ToProto(port);
}

v1::Port PortNamed(const std::string& name) {
  std::string netdev = name;
  if (auto tree = SysfsTree::Open("/sys"); tree.ok()) {
    Port port = Memory().Find(*tree, &Port::name, name);
    if (!port.name.empty() && port.netdev.empty()) return inventory::ToProto(port);
    if (!port.netdev.empty()) netdev = port.netdev;
  }
  for (const inventory::Link& link : inventory::ReadLinks())
    if (link.netdev == netdev) return inventory::ToProto(ReadPort(link));
  return {};
}

absl::StatusOr<std::string> SourceAddressTowards(const std::string& destination) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(destination.c_str(), "9", &hints, &found) != 0)
    return absl::InvalidArgumentError(absl::StrCat("'", destination, "' is no numeric address"));
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, &freeaddrinfo);
  // Connecting a datagram socket sends nothing: it only asks the routing table.
  UniqueFd fd(socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return SocketError(errno, "socket");
  if (connect(fd.get(), address->ai_addr, address->ai_addrlen) != 0)
    return absl::UnavailableError(absl::StrCat("no route to ", destination, ": ", strerror(errno)));
  return LocalAddress(fd.get());
}

}  // namespace netsense
