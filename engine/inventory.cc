#include "engine/inventory.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "transports/socket.h"

namespace netsense {
namespace {

struct FreeIfAddrs {
  void operator()(ifaddrs* list) const { freeifaddrs(list); }
};

int64_t ReadSysfsNumber(const std::string& netdev, const char* attribute) {
  std::ifstream file("/sys/class/net/" + netdev + "/" + attribute);
  int64_t value = 0;
  return file >> value ? value : 0;
}

v1::Port DescribePort(const std::string& netdev, bool loopback) {
  v1::Port port;
  port.set_name(netdev);
  port.set_netdev(netdev);
  port.set_fabric(loopback ? v1::FABRIC_KIND_LOOPBACK : v1::FABRIC_KIND_ETHERNET);
  port.set_mtu(static_cast<uint32_t>(ReadSysfsNumber(netdev, "mtu")));
  int64_t megabits = ReadSysfsNumber(netdev, "speed");  // -1 or EINVAL where the driver does not know
  if (megabits > 0) port.set_speed_bps(static_cast<uint64_t>(megabits) * 1'000'000);
  return port;
}

std::string NumericAddress(const sockaddr* address) {
  socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  char host[NI_MAXHOST] = "";
  getnameinfo(address, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  return host;
}

}  // namespace

std::vector<v1::Port> ListPorts() {
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) return {};
  std::unique_ptr<ifaddrs, FreeIfAddrs> list(raw);
  std::vector<v1::Port> ports;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6) continue;
    auto port =
        std::find_if(ports.begin(), ports.end(), [&](const v1::Port& p) { return p.netdev() == entry->ifa_name; });
    if (port == ports.end())
      port = ports.insert(port, DescribePort(entry->ifa_name, (entry->ifa_flags & IFF_LOOPBACK) != 0));
    port->add_addresses(NumericAddress(entry->ifa_addr));
  }
  return ports;
}

v1::Port PortOfAddress(const std::string& address) {
  for (v1::Port& port : ListPorts()) {
    const auto& addresses = port.addresses();
    if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) return std::move(port);
    if (port.fabric() == v1::FABRIC_KIND_LOOPBACK && IsLoopback(address)) return std::move(port);
  }
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
