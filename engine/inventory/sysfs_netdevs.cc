#include "engine/inventory/sysfs_netdevs.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/inventory/sysfs_pci.h"

namespace netsense::inventory {
namespace {

// ARPHRD_ numbers of /sys/class/net/*/type.
constexpr int64_t kEthernet = 1, kInfiniband = 32, kLoopback = 772;

v1::PortState StateOf(const SysfsTree& tree, const std::string& folder, std::string* text) {
  *text = tree.ReadOr(folder + "/operstate");
  if (*text == "up") return v1::PORT_STATE_UP;
  if (*text == "down" || *text == "lowerlayerdown" || *text == "notpresent" || *text == "dormant")
    return v1::PORT_STATE_DOWN;
  // Loopback and some virtual devices are "unknown" all their life; a carrier tells more. Unreadable while switched
  // off.
  auto carrier = tree.ReadInteger(folder + "/carrier");
  if (carrier) return *carrier == 1 ? v1::PORT_STATE_UP : v1::PORT_STATE_DOWN;
  return v1::PORT_STATE_UNKNOWN;
}

// The stand-in of a virtual or sub function on the host's side of an embedded switch: "pf0vf3", "c1pf0sf88".
bool IsRepresentor(const SysfsTree& tree, const std::string& folder) {
  const std::string name = tree.ReadOr(folder + "/phys_port_name");
  size_t physical = name.find("pf");
  return physical != std::string::npos &&
         (name.find("vf", physical) != std::string::npos || name.find("sf", physical) != std::string::npos);
}

void ReadNeighbours(const SysfsTree& tree, const std::string& folder, Port* port) {
  for (absl::string_view member : absl::StrSplit(tree.ReadOr(folder + "/bonding/slaves"), ' ', absl::SkipEmpty()))
    port->bond_members.emplace_back(member);
  for (const std::string& entry : tree.List(folder)) {
    absl::string_view name = entry;
    if (absl::ConsumePrefix(&name, "lower_")) port->lower.emplace_back(name);
  }
  auto master = tree.Resolve(folder + "/master");
  if (master && tree.IsFolder(*master + "/bonding")) port->bond = master->substr(master->rfind('/') + 1);
}

}  // namespace

Netdev ReadNetdev(const SysfsTree& tree, const std::string& name) {
  const std::string folder = "class/net/" + name;
  Netdev netdev;
  Port& port = netdev.port;
  port.netdev = name;
  port.netdev_index = static_cast<int>(tree.ReadInteger(folder + "/ifindex").value_or(0));
  port.link_address = tree.ReadOr(folder + "/address");
  int64_t type = tree.ReadInteger(folder + "/type").value_or(-1);
  netdev.infiniband = type == kInfiniband;
  if (type == kLoopback) port.fabric = v1::FABRIC_KIND_LOOPBACK;
  if (type == kEthernet) port.fabric = v1::FABRIC_KIND_ETHERNET;
  port.state = StateOf(tree, folder, &port.state_text);
  port.mtu = static_cast<uint32_t>(
      std::clamp<int64_t>(tree.ReadInteger(folder + "/mtu").value_or(0), 0, std::numeric_limits<uint32_t>::max()));
  // -1 or EINVAL where the driver does not know; 4294967295 is -1 of older kernels.
  int64_t megabits = tree.ReadInteger(folder + "/speed").value_or(-1);
  port.speed_bps = PlausibleRate(static_cast<double>(megabits) * 1e6);
  if (tree.IsFolder(folder + "/phy80211") || tree.IsFolder(folder + "/wireless")) port.fabric = v1::FABRIC_KIND_WIFI;
  ReadNeighbours(tree, folder, &port);

  SysfsDevice device = ReadDevice(tree, folder);
  netdev.id = device.id;
  port.bus = device.bus;
  if (IsRepresentor(tree, folder)) {
    port.bus = Bus::kVirtual;
    return netdev;
  }
  port.place = std::move(device.place);
  port.pcie = device.pcie;
  port.driver = std::move(device.driver);
  port.virtual_function = device.virtual_function;
  if (device.id.vendor != 0) port.model = FormatPciId(device.id);
  if (FabricOf(device.id) == v1::FABRIC_KIND_SLINGSHOT) port.fabric = v1::FABRIC_KIND_SLINGSHOT;
  netdev.index_on_function = static_cast<int>(
      std::max(tree.ReadInteger(folder + "/dev_port").value_or(0), tree.ReadInteger(folder + "/dev_id").value_or(0)));
  return netdev;
}

std::vector<Netdev> ReadNetdevs(const SysfsTree& tree) {
  std::vector<Netdev> netdevs;
  for (const std::string& name : tree.List("class/net"))
    if (tree.IsFolder("class/net/" + name)) netdevs.push_back(ReadNetdev(tree, name));
  return netdevs;
}

uint64_t ParseRdmaRate(const std::string& text) {
  size_t blank = text.find(' ');
  double gigabits = 0;
  if (blank == std::string::npos || !absl::StartsWith(text.substr(blank + 1), "Gb/sec")) return 0;
  return absl::SimpleAtod(text.substr(0, blank), &gigabits) ? PlausibleRate(gigabits * 1e9) : 0;
}

}  // namespace netsense::inventory
