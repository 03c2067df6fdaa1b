#include "transports/ucx/device.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/socket.h"

namespace netsense::ucx {
namespace {

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
