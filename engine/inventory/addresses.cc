#include "engine/inventory/addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>

#include "engine/inventory/sysfs_reader.h"
#include "transports/socket.h"

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

bool IsNumeric(const ifaddrs& entry) {
  return entry.ifa_addr != nullptr && (entry.ifa_addr->sa_family == AF_INET || entry.ifa_addr->sa_family == AF_INET6);
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

Port BarePort(const ifaddrs& entry) {
  Port port;
  port.netdev = port.name = entry.ifa_name;
  if ((entry.ifa_flags & IFF_LOOPBACK) != 0) port.fabric = v1::FABRIC_KIND_LOOPBACK;
  port.state =
      (entry.ifa_flags & IFF_UP) != 0 && (entry.ifa_flags & IFF_RUNNING) != 0 ? v1::PORT_STATE_UP : v1::PORT_STATE_DOWN;
  return port;
}

}  // namespace

void AddAddresses(std::vector<Port>* ports) {
  IfAddrs list = ReadIfAddrs();
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    auto port = std::find_if(ports->begin(), ports->end(), [&](const Port& p) { return p.netdev == entry->ifa_name; });
    if (port == ports->end()) port = ports->insert(port, BarePort(*entry));
    if (IsNumeric(*entry)) port->addresses.push_back(NumericAddress(entry->ifa_addr));
  }
  const std::set<std::string> routes = DefaultRouteNetdevs();
  for (Port& port : *ports) port.default_route = routes.count(port.netdev) > 0 && !port.netdev.empty();
  SpreadDefaultRoute(ports);
}

std::string NetdevOfAddress(const std::string& address) {
  IfAddrs list = ReadIfAddrs();
  std::string loopback;
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0 || !IsNumeric(*entry)) continue;
    if (NumericAddress(entry->ifa_addr) == address) return entry->ifa_name;
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0) loopback = entry->ifa_name;
  }
  return IsLoopback(address) ? loopback : "";
}

}  // namespace netsense::inventory
