#include "engine/inventory/addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/host_port.h"
#include "engine/inventory/sysfs_reader.h"

namespace netsense::inventory {
namespace {

struct FreeIfAddrs {
  void operator()(ifaddrs* list) const { freeifaddrs(list); }
};
using IfAddrs = std::unique_ptr<ifaddrs, FreeIfAddrs>;

IfAddrs ReadIfAddrs() {
  ifaddrs* raw = nullptr;
  return IfAddrs(getifaddrs(&raw) == 0 ? raw : nullptr);
}

std::string NumericAddress(const sockaddr* address) {
  socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  char host[NI_MAXHOST] = "";
  getnameinfo(address, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  return host;
}

// IPv4: name, destination, gateway, flags, counters, mask. IPv6: destination, its length, ..., flags, name.
std::set<std::string> DefaultRouteNetdevs() {
  std::set<std::string> netdevs;
  std::ifstream v4("/proc/net/route");
  for (std::string line; std::getline(v4, line);) {
    std::istringstream fields(line);
    std::string name, destination, skipped, mask;
    fields >> name >> destination >> skipped >> skipped >> skipped >> skipped >> skipped >> mask;
    if (destination == "00000000" && mask == "00000000") netdevs.insert(name);
  }
  std::ifstream v6("/proc/net/ipv6_route");
  for (std::string line; std::getline(v6, line);) {
    std::istringstream fields(line);
    std::string destination, length, skipped, gateway, name;
    fields >> destination >> length >> skipped >> skipped >> gateway >> skipped >> skipped >> skipped >> skipped >>
        name;
    // Without a gateway it is the kernel's own "unreachable" entry, on lo.
    if (length == "00" && gateway.find_first_not_of('0') != std::string::npos) netdevs.insert(name);
  }
  return netdevs;
}

// "02:1e:d4:e3:20:6d". The kernel's structure has room for eight bytes; InfiniBand's addresses are longer, and what is
// beyond is not looked at.
std::string LinkAddress(const sockaddr* address) {
  const auto* link = reinterpret_cast<const sockaddr_ll*>(address);
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(link->sll_halen, sizeof(link->sll_addr)); ++i)
    absl::StrAppendFormat(&text, "%s%02x", i == 0 ? "" : ":", link->sll_addr[i]);
  return text;
}

Port BarePort(const Link& link) {
  Port port;
  port.netdev = port.name = link.netdev;
  port.netdev_index = link.index;
  port.link_address = link.link_address;
  if (link.loopback) port.fabric = v1::FABRIC_KIND_LOOPBACK;
  port.state = link.up && link.running ? v1::PORT_STATE_UP : v1::PORT_STATE_DOWN;
  return port;
}

// An RDMA device may be shared by all namespaces: it stays, without the netdev.
void RemoveForeign(const std::vector<Link>& links, Node* node) {
  size_t foreign = 0;
  for (Port& port : node->ports) {
    if (port.netdev.empty() ||
        std::any_of(links.begin(), links.end(), [&](const Link& link) { return IsSameDevice(link, port); }))
      continue;
    ++foreign;
    port.netdev.clear();
    port.link_address.clear();
    port.netdev_index = 0;
  }
  if (foreign == 0) return;
  node->ports.erase(std::remove_if(node->ports.begin(), node->ports.end(),
                                   [](const Port& port) { return port.netdev.empty() && port.rdma_device.empty(); }),
                    node->ports.end());
  node->notes.push_back(absl::StrCat("/sys shows another network namespace: ", foreign,
                                     " network devices in it are not this process's, and are left out"));
}

}  // namespace

std::vector<Link> ReadLinks() {
  std::vector<Link> links;
  IfAddrs list = ReadIfAddrs();
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    auto link = std::find_if(links.begin(), links.end(), [&](const Link& l) { return l.netdev == entry->ifa_name; });
    if (link == links.end()) {
      link = links.emplace(link);
      link->netdev = entry->ifa_name;
      link->up = (entry->ifa_flags & IFF_UP) != 0;
      link->running = (entry->ifa_flags & IFF_RUNNING) != 0;
      link->loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
    }
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family == AF_INET || entry->ifa_addr->sa_family == AF_INET6)
      link->addresses.push_back(NumericAddress(entry->ifa_addr));
    if (entry->ifa_addr->sa_family == AF_PACKET) {
      link->index = reinterpret_cast<const sockaddr_ll*>(entry->ifa_addr)->sll_ifindex;
      link->link_address = LinkAddress(entry->ifa_addr);
    }
  }
  return links;
}

std::optional<Link> LinkOfAddress(const std::string& address) {
  std::optional<Link> loopback;
  for (Link& link : ReadLinks()) {
    if (!link.up) continue;
    if (std::find(link.addresses.begin(), link.addresses.end(), address) != link.addresses.end())
      return std::move(link);
    if (link.loopback) loopback = std::move(link);
  }
  return IsLoopback(address) ? loopback : std::nullopt;
}

bool IsSameDevice(const Link& link, const Port& port) {
  return link.netdev == port.netdev && link.index == port.netdev_index &&
         port.link_address.rfind(link.link_address, 0) == 0;
}

void AddAddresses(Node* node) {
  std::vector<Link> links = ReadLinks();
  RemoveForeign(links, node);
  const std::set<std::string> routes = DefaultRouteNetdevs();
  for (Link& link : links) {
    auto port = std::find_if(node->ports.begin(), node->ports.end(),
                             [&](const Port& candidate) { return candidate.netdev == link.netdev; });
    if (port == node->ports.end()) port = node->ports.insert(port, BarePort(link));
    port->addresses = std::move(link.addresses);
    port->default_route = routes.count(link.netdev) > 0;
  }
  SpreadDefaultRoute(&node->ports);
}

}  // namespace netsense::inventory
