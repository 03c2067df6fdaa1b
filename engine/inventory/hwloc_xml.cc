#include "engine/inventory/hwloc_xml.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "engine/inventory/hwloc_topology.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/sysfs_pci.h"
#include "engine/inventory/trial.h"

namespace netsense::inventory {
namespace {

constexpr int kMaxIndex = 1 << 14;      // of a processor or a NUMA node; the kernel's limits are 8,192 and 1,024
constexpr int kMaxDistances = 1 << 10;  // objects of one matrix

// hwloc declares these inside of a union.
using PciAttributes = decltype(hwloc_obj_attr_u::pcidev);
using BridgeAttributes = decltype(hwloc_obj_attr_u::bridge);

std::string Info(hwloc_obj_t object, const std::string& name) {
  const char* value = hwloc_obj_get_info_by_name(object, name.c_str());
  return value == nullptr ? "" : value;
}

std::string AddressOf(const PciAttributes& pci) {
  return FormatPciAddress({.domain = pci.domain, .bus = pci.bus, .device = pci.dev, .function = pci.func});
}

// The node whose memory the object is local to. Several nodes may be so near to the same processors (DRAM and HBM):
// then the first, as the kernel counts, which is where its processors are. Where they are near to different ones, -1:
// not said.
int NumaNodeIndex(hwloc_topology_t topology, hwloc_obj_t object) {
  hwloc_obj_t above = hwloc_get_non_io_ancestor_obj(topology, object);
  if (above == nullptr || above->nodeset == nullptr) return -1;
  hwloc_obj_t first = nullptr;
  for (hwloc_obj_t numa = nullptr;
       (numa = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, numa)) != nullptr;) {
    if (hwloc_bitmap_isset(above->nodeset, numa->os_index) == 0) continue;
    if (first != nullptr && hwloc_bitmap_isequal(first->cpuset, numa->cpuset) == 0) return -1;
    if (first == nullptr || numa->os_index < first->os_index) first = numa;
  }
  return first == nullptr ? -1 : static_cast<int>(first->os_index);
}

PciPlace PlaceOf(hwloc_topology_t topology, hwloc_obj_t device) {
  PciPlace place;
  place.address = AddressOf(device->attr->pcidev);
  place.numa_node = NumaNodeIndex(topology, device);
  place.path.push_back(place.address);
  for (hwloc_obj_t above = device->parent; above != nullptr && above->type == HWLOC_OBJ_BRIDGE; above = above->parent) {
    const BridgeAttributes& bridge = above->attr->bridge;
    place.path.push_back(
        bridge.upstream_type == HWLOC_OBJ_BRIDGE_PCI
            ? AddressOf(bridge.upstream.pci)
            : absl::StrFormat("pci%04x:%02x", bridge.downstream.pci.domain, bridge.downstream.pci.secondary_bus));
  }
  std::reverse(place.path.begin(), place.path.end());
  // Bridges may have been left out of the file: a path without its host bridge tells nothing.
  if (place.path.front().rfind("pci", 0) != 0) place.path.clear();
  return place;
}

PciId IdOf(const PciAttributes& pci) {
  return {.pci_class = pci.class_id, .vendor = pci.vendor_id, .device = pci.device_id};
}

std::vector<hwloc_obj_t> DevicesOf(hwloc_obj_t pci, hwloc_obj_osdev_type_t type) {
  std::vector<hwloc_obj_t> devices;
  for (hwloc_obj_t child = pci->io_first_child; child != nullptr; child = child->next_sibling)
    if (child->type == HWLOC_OBJ_OS_DEVICE && child->attr->osdev.type == type && child->name != nullptr)
      devices.push_back(child);
  return devices;
}

// What every port on the function has in common.
Port PortOn(hwloc_topology_t topology, hwloc_obj_t pci) {
  Port port;
  port.place = PlaceOf(topology, pci);
  port.bus = Bus::kPci;
  // hwloc gives gigabytes a second of the whole link, after coding: neither generation nor width.
  port.pcie.gbps = pci->attr->pcidev.linkspeed * 8;
  port.vendor = Info(pci, "PCIVendor");
  port.model = Info(pci, "PCIDevice");
  if (port.model.empty()) port.model = FormatPciId(IdOf(pci->attr->pcidev));
  return port;
}

// IP over InfiniBand has addresses of 20 bytes.
bool IsIpoib(hwloc_obj_t net) { return Info(net, "Address").size() == 20 * 3 - 1; }

Port RdmaPort(hwloc_topology_t topology, hwloc_obj_t pci, hwloc_obj_t device, int number) {
  Port port = PortOn(topology, pci);
  port.rdma_device = device->name;
  port.rdma_port = number;
  port.state_text = Info(device, absl::StrCat("Port", number, "State"));
  port.fabric = FabricOf(IdOf(pci->attr->pcidev));
  if (port.fabric != v1::FABRIC_KIND_EFA && !port.state_text.empty())
    port.state = port.state_text == "4" ? v1::PORT_STATE_UP : v1::PORT_STATE_DOWN;
  // Only InfiniBand has local identifiers.
  const std::string lid = Info(device, absl::StrCat("Port", number, "LID"));
  if (port.fabric == v1::FABRIC_KIND_UNKNOWN && lid.find_first_not_of("0x") != std::string::npos)
    port.fabric = v1::FABRIC_KIND_INFINIBAND;
  for (int i = 0; i < 256; ++i) {
    std::string gid = Info(device, absl::StrCat("Port", number, "GID", i));
    if (gid.empty()) break;
    port.gids.push_back({.index = static_cast<uint32_t>(i), .gid = std::move(gid), .type = "", .netdev = ""});
  }
  return port;
}

// The ports of one network function: its RDMA ports, each with its netdev, then the netdevs that are left.
void ReadPorts(hwloc_topology_t topology, hwloc_obj_t pci, std::vector<Port>* ports) {
  std::vector<hwloc_obj_t> nets = DevicesOf(pci, HWLOC_OBJ_OSDEV_NETWORK);
  for (hwloc_obj_t device : DevicesOf(pci, HWLOC_OBJ_OSDEV_OPENFABRICS)) {
    int count = 1;
    while (count < 16 && !Info(device, absl::StrCat("Port", count + 1, "State")).empty()) ++count;
    for (int number = 1; number <= count; ++number) {
      Port port = RdmaPort(topology, pci, device, number);
      auto net = std::find_if(nets.begin(), nets.end(), [&](hwloc_obj_t candidate) {
        std::string said = Info(candidate, "Port");
        return said.empty() ? count == 1 || nets.size() == static_cast<size_t>(count) : said == std::to_string(number);
      });
      if (net != nets.end()) {
        port.netdev = (*net)->name;
        if (port.fabric == v1::FABRIC_KIND_UNKNOWN && !IsIpoib(*net)) port.fabric = v1::FABRIC_KIND_ETHERNET;
        nets.erase(net);
      }
      port.name = PortName(port, count > 1);
      ports->push_back(std::move(port));
    }
  }
  for (hwloc_obj_t net : nets) {
    Port port = PortOn(topology, pci);
    port.netdev = net->name;
    port.fabric = FabricOf(IdOf(pci->attr->pcidev));
    if (port.fabric == v1::FABRIC_KIND_UNKNOWN)
      port.fabric = IsIpoib(net)                                   ? v1::FABRIC_KIND_INFINIBAND
                    : IsWifi(IdOf(pci->attr->pcidev), port.netdev) ? v1::FABRIC_KIND_WIFI
                                                                   : v1::FABRIC_KIND_ETHERNET;
    port.name = PortName(port, false);
    ports->push_back(std::move(port));
  }
}

Gpu ReadGpu(hwloc_topology_t topology, hwloc_obj_t pci) {
  Gpu gpu;
  gpu.vendor = GpuVendorName(pci->attr->pcidev.vendor_id);
  gpu.place = PlaceOf(topology, pci);
  gpu.pcie.gbps = pci->attr->pcidev.linkspeed * 8;
  for (hwloc_obj_t child = pci->io_first_child; child != nullptr && gpu.model.empty(); child = child->next_sibling)
    gpu.model = Info(child, "GPUModel");
  if (gpu.model.empty()) gpu.model = Info(pci, "PCIDevice");
  if (gpu.model.empty()) gpu.model = FormatPciId(IdOf(pci->attr->pcidev));
  return gpu;
}

// A network function without a device of the operating system: a virtual function, or one that no driver holds. Where
// the file has such devices at all, it is no port; where it has none, the functions are all that is known.
void AddBareFunctions(hwloc_topology_t topology, const std::vector<hwloc_obj_t>& bare, Node* node) {
  if (bare.empty()) return;
  if (!node->ports.empty()) {
    node->notes.push_back(
        absl::StrCat(bare.size(), bare.size() == 1 ? " network function has" : " network functions have",
                     " no device of the operating system (virtual functions, or no driver holds "
                     "them) and are no ports: from ",
                     AddressOf(bare.front()->attr->pcidev), " to ", AddressOf(bare.back()->attr->pcidev)));
    return;
  }
  for (hwloc_obj_t pci : bare) {
    Port port = PortOn(topology, pci);
    port.fabric = FabricOf(IdOf(pci->attr->pcidev));
    port.name = PortName(port, false);
    node->ports.push_back(std::move(port));
  }
  node->notes.push_back("the file has no network or RDMA devices, only PCI functions: ports are named by address");
}

bool IsNamedVirtual(const Port& port) { return absl::StrContains(port.model, "Virtual Function"); }

// hwloc tells virtual functions from others by their names only. One whose physical function is not on the machine has
// been handed to it for good, as to a virtual machine, and is a port like any.
void MarkVirtualFunctions(std::vector<Port>* ports) {
  auto vendor_and_parent = [](const Port& port) {
    return std::pair(port.vendor,
                     std::vector(port.place.path.begin(), port.place.path.end() - (port.place.path.empty() ? 0 : 1)));
  };
  std::set<std::pair<std::string, std::vector<std::string>>> physical;
  for (const Port& port : *ports)
    if (!IsNamedVirtual(port)) physical.insert(vendor_and_parent(port));
  for (Port& port : *ports) port.virtual_function = IsNamedVirtual(port) && physical.contains(vendor_and_parent(port));
}

// hwloc trusts the numbers in its files: sizes that no machine has are refused before it sees them. Of the other
// objects than these the number may be anything: a PCI device's is its packed address.
bool HasIndex(const pugi::xml_node& object) {
  const std::string_view type = object.attribute("type").value();
  return type == "PU" || type == "NUMANode" || type == "Node" || type == "Machine";
}

absl::Status CheckNumbers(const pugi::xml_node& node) {
  for (pugi::xml_node child : node.children()) {
    for (const char* name : {"os_index", "first_cpuset_index"}) {
      const int64_t index = child.attribute(name).as_llong(0);
      if ((HasIndex(child) || name != std::string_view("os_index")) && (index > kMaxIndex || index < -1))
        return absl::InvalidArgumentError(absl::StrCat(name, " ", child.attribute(name).value(), " is no machine's"));
    }
    if (child.attribute("nbobjs").as_llong(0) > kMaxDistances || child.attribute("nbobjs").as_llong(0) < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("a matrix of ", child.attribute("nbobjs").value(), " objects is no machine's"));
    RETURN_IF_ERROR(CheckNumbers(child));
  }
  return absl::OkStatus();
}

absl::Status CheckVersion(const pugi::xml_node& root) {
  const std::string version = root.attribute("version").value();
  int major = 0;
  if (version.empty()) return absl::OkStatus();  // of hwloc 1, which hwloc 2 reads
  const int readable = static_cast<int>(hwloc_get_api_version() >> 16);
  std::pair<std::string, std::string> parts = absl::StrSplit(version, absl::MaxSplits('.', 1));
  if (!absl::SimpleAtoi(parts.first, &major))
    return absl::InvalidArgumentError(absl::StrCat("format '", version, "' is no version of hwloc's XML"));
  if (major > readable)
    return absl::InvalidArgumentError(absl::StrFormat(
        "hwloc XML of format %s, but the hwloc of this program reads up to format %d.x; export it again where it was "
        "made with `lstopo --export-xml-flags v2 machine.xml`",
        version, readable));
  return absl::OkStatus();
}

absl::StatusOr<Node> Load(const XmlFile& file) {
  ASSIGN_OR_RETURN(auto topology, LoadXml(file.text));
  hwloc_topology_t raw = topology.get();

  Node node;
  hwloc_obj_t machine = hwloc_get_root_obj(raw);
  node.hostname = Info(machine, "HostName");
  node.numa_nodes = ReadNumaNodes(raw);
  bool hypervisor = IsHypervisorName(Info(machine, "DMISysVendor"), Info(machine, "DMIProductName"));
  std::vector<hwloc_obj_t> bare;
  for (hwloc_obj_t pci = nullptr; (pci = hwloc_get_next_pcidev(raw, pci)) != nullptr;) {
    const PciId id = IdOf(pci->attr->pcidev);
    hypervisor = hypervisor || IsOfHypervisor(id);
    size_t before = node.ports.size();
    ReadPorts(raw, pci, &node.ports);
    if (IsGpu(id)) {
      node.gpus.push_back(ReadGpu(raw, pci));
    } else if (node.ports.size() == before && IsNetworkClass(id)) {
      bare.push_back(pci);
    }
  }
  if (hwloc_get_next_pcidev(raw, nullptr) == nullptr)
    node.notes.push_back("the file has no PCI devices: export it with all devices (`lstopo --whole-io machine.xml`)");
  AddBareFunctions(raw, bare, &node);
  RETURN_IF_ERROR(CheckSize(node));
  MarkVirtualFunctions(&node.ports);
  if (hypervisor) node.virtualized = Virtualized::kYes;
  return node;
}

}  // namespace

absl::StatusOr<Node> ReadHwlocXml(const XmlFile& file) {
  const pugi::xml_node root = file.document->child("topology");
  RETURN_IF_ERROR(CheckVersion(root));
  RETURN_IF_ERROR(CheckNumbers(root));
  // No check finds all that hwloc trips over.
  auto tried = TryInChild([&] { return Load(file).status(); });
  if (!tried.ok()) return absl::InvalidArgumentError(absl::StrCat("hwloc cannot take this file: ", tried.message()));
  return Load(file);
}

}  // namespace netsense::inventory
