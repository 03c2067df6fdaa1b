#include "engine/inventory/sysfs_rdma.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/inventory/sysfs_pci.h"

namespace netsense::inventory {
namespace {

constexpr int kMaxGids = 4096;

// Entries that are not in use are all zero, or cannot be read.
bool IsSet(const std::string& gid) { return gid.find_first_not_of("0:") != std::string::npos; }

std::vector<Gid> ReadGids(const SysfsTree& tree, const std::string& port_folder) {
  std::vector<Gid> gids;
  for (const std::string& entry : tree.List(port_folder + "/gids")) {
    int index = 0;
    if (!absl::SimpleAtoi(entry, &index) || index < 0 || index >= kMaxGids) continue;
    std::string gid = tree.ReadOr(absl::StrCat(port_folder, "/gids/", entry));
    if (!IsSet(gid)) continue;
    const std::string attributes = port_folder + "/gid_attrs";
    gids.push_back({.index = static_cast<uint32_t>(index),
                    .gid = std::move(gid),
                    .type = tree.ReadOr(absl::StrCat(attributes, "/types/", entry)),
                    .netdev = tree.ReadOr(absl::StrCat(attributes, "/ndevs/", entry))});
  }
  std::sort(gids.begin(), gids.end(), [](const Gid& a, const Gid& b) { return a.index < b.index; });
  return gids;
}

// What sort of fabric a port belongs to; UNKNOWN where nothing says it for sure.
v1::FabricKind FabricOfPort(const std::string& device, const std::string& driver, const PciId& id,
                            const std::string& node_type, const std::string& link_layer, const std::vector<Gid>& gids) {
  if (driver == "efa" || FabricOf(id) == v1::FABRIC_KIND_EFA) return v1::FABRIC_KIND_EFA;
  if (driver == "hfi1" || absl::StartsWith(device, "hfi1_")) return v1::FABRIC_KIND_OMNIPATH;
  if (absl::StartsWith(node_type, "4:")) return v1::FABRIC_KIND_IWARP;
  if (link_layer == "InfiniBand") return v1::FABRIC_KIND_INFINIBAND;
  if (link_layer != "Ethernet") return v1::FABRIC_KIND_UNKNOWN;
  bool roce = std::any_of(gids.begin(), gids.end(), [](const Gid& gid) { return absl::StrContains(gid.type, "RoCE"); });
  return roce ? v1::FABRIC_KIND_ROCE : v1::FABRIC_KIND_ETHERNET;
}

// "4: ACTIVE".
v1::PortState StateOf(const std::string& text) {
  if (absl::StartsWith(text, "4:") || absl::StartsWith(text, "5:")) return v1::PORT_STATE_UP;  // 5: ACTIVE_DEFER
  return absl::StartsWith(text, "1:") || absl::StartsWith(text, "2:") || absl::StartsWith(text, "3:")
             ? v1::PORT_STATE_DOWN
             : v1::PORT_STATE_UNKNOWN;
}

// The netdev of the device's port `number`: as its GIDs say, or the device it stands on, or the one beside it on its
// PCI function.
Netdev* FindNetdev(const Port& port, int number, const std::string& parent, std::vector<Netdev>* netdevs) {
  auto named = [&](const std::string& name) -> Netdev* {
    for (Netdev& netdev : *netdevs)
      if (!name.empty() && netdev.port.netdev == name) return &netdev;
    return nullptr;
  };
  for (const Gid& gid : port.gids)
    if (Netdev* found = named(gid.netdev)) return found;
  if (Netdev* found = named(parent)) return found;
  std::vector<Netdev*> beside;
  for (Netdev& netdev : *netdevs)
    if (!port.place.address.empty() && netdev.port.place.address == port.place.address) beside.push_back(&netdev);
  auto same_index = std::find_if(beside.begin(), beside.end(),
                                 [&](const Netdev* netdev) { return netdev->index_on_function == number - 1; });
  return same_index == beside.end() ? nullptr : *same_index;
}

// Gives `port` all that its netdev knows better, and takes the netdev away.
void Join(Netdev* netdev, std::vector<Netdev>* netdevs, Port* port) {
  Port& net = netdev->port;
  port->netdev = net.netdev;
  port->netdev_index = net.netdev_index;
  port->link_address = std::move(net.link_address);
  port->mtu = net.mtu;
  port->bond = net.bond;
  port->bond_members = std::move(net.bond_members);
  port->lower = std::move(net.lower);
  if (port->bus == Bus::kUnknown || port->bus == Bus::kVirtual) port->bus = net.bus;
  if (port->place.address.empty()) {
    port->place = std::move(net.place);
    port->pcie = net.pcie;
    port->model = std::move(net.model);
    port->virtual_function = net.virtual_function;
  }
  bool ethernet = port->fabric == v1::FABRIC_KIND_ROCE || port->fabric == v1::FABRIC_KIND_IWARP ||
                  port->fabric == v1::FABRIC_KIND_ETHERNET;
  if (port->speed_bps == 0 || (ethernet && net.speed_bps > 0)) port->speed_bps = net.speed_bps;
  if (port->state == v1::PORT_STATE_UNKNOWN) {
    port->state = net.state;
    port->state_text = std::move(net.state_text);
  }
  netdevs->erase(netdevs->begin() + (netdev - netdevs->data()));
}

Port ReadRdmaPort(const SysfsTree& tree, const std::string& folder, const std::string& device_name, int number,
                  const SysfsDevice& device) {
  const std::string port_folder = absl::StrCat(folder, "/ports/", number);
  Port port;
  port.rdma_device = device_name;
  port.rdma_port = number;
  port.gids = ReadGids(tree, port_folder);
  port.fabric = FabricOfPort(device_name, device.driver, device.id, tree.ReadOr(folder + "/node_type"),
                             tree.ReadOr(port_folder + "/link_layer"), port.gids);
  port.state_text = tree.ReadOr(port_folder + "/state");
  // EFA's file says ACTIVE whatever the link does.
  if (port.fabric != v1::FABRIC_KIND_EFA) port.state = StateOf(port.state_text);
  // A device of software alone makes its rate up.
  if (device.bus != Bus::kVirtual) port.speed_bps = ParseRdmaRate(tree.ReadOr(port_folder + "/rate"));
  port.place = device.place;
  port.bus = device.bus;
  port.pcie = device.pcie;
  port.driver = device.driver;
  port.virtual_function = device.virtual_function;
  port.model = tree.ReadOr(folder + "/hca_type");
  if (port.model.empty() && device.id.vendor != 0) port.model = FormatPciId(device.id);
  return port;
}

}  // namespace

std::vector<Port> ReadRdmaPorts(const SysfsTree& tree, const std::string& folder, std::vector<Netdev>* netdevs) {
  std::vector<Port> ports;
  for (const std::string& name : tree.List(folder)) {
    const std::string device_folder = folder.empty() ? name : absl::StrCat(folder, "/", name);
    std::vector<int> numbers;
    for (const std::string& entry : tree.List(device_folder + "/ports")) {
      int number = 0;
      if (absl::SimpleAtoi(entry, &number) && number > 0) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    SysfsDevice device = ReadDevice(tree, device_folder);
    const std::string parent = tree.ReadOr(device_folder + "/parent");
    for (int number : numbers) {
      Port port = ReadRdmaPort(tree, device_folder, name, number, device);
      if (Netdev* netdev = FindNetdev(port, number, parent, netdevs)) Join(netdev, netdevs, &port);
      port.name = PortName(port, numbers.size() > 1);
      ports.push_back(std::move(port));
    }
  }
  return ports;
}

std::vector<Port> ReadSlingshotPorts(const SysfsTree& tree, std::vector<Netdev>* netdevs) {
  std::vector<Port> ports;
  for (const std::string& name : tree.List("class/cxi")) {
    const std::string folder = "class/cxi/" + name;
    if (!tree.IsFolder(folder)) continue;
    SysfsDevice device = ReadDevice(tree, folder);
    Port port;
    port.name = name;
    port.fabric = v1::FABRIC_KIND_SLINGSHOT;
    port.place = device.place;
    port.bus = device.bus;
    port.pcie = device.pcie;
    port.driver = device.driver;
    port.virtual_function = device.virtual_function;
    if (device.id.vendor != 0) port.model = FormatPciId(device.id);
    if (Netdev* netdev = FindNetdev(port, 1, "", netdevs)) Join(netdev, netdevs, &port);
    ports.push_back(std::move(port));
  }
  return ports;
}

}  // namespace netsense::inventory
