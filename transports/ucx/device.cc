#include "transports/ucx/device.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "transports/socket.h"

namespace netsense::ucx {
namespace {

std::string NetdevOfAddress(const std::string& address) {
  if (IsLoopback(address)) return "lo";
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) return "";
  std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(raw, &freeifaddrs);
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    char host[NI_MAXHOST] = "";
    if (getnameinfo(entry->ifa_addr, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) == 0 && address == host)
      return entry->ifa_name;
  }
  return "";
}

// True when some GID of this RDMA port belongs to the network device.
bool PortIsOn(const std::filesystem::path& port, const std::string& netdev) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(port / "gid_attrs/ndevs", error)) {
    std::ifstream file(entry.path());
    std::string name;
    if (std::getline(file, name) && name == netdev) return true;
  }
  return false;
}

}  // namespace

std::string NetDevicesOf(const std::string& address) {
  const std::string netdev = NetdevOfAddress(address);
  if (netdev.empty()) return "";
  std::string devices = netdev;
  std::error_code error;
  for (const auto& device : std::filesystem::directory_iterator("/sys/class/infiniband", error))
    for (const auto& port : std::filesystem::directory_iterator(device.path() / "ports", error))
      if (PortIsOn(port.path(), netdev))
        absl::StrAppend(&devices, ",", device.path().filename().string(), ":", port.path().filename().string());
  return devices;
}

}  // namespace netsense::ucx
