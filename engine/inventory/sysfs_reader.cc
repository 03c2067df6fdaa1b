#include "engine/inventory/sysfs_reader.h"

#include <algorithm>
#include <functional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/sysfs_netdevs.h"
#include "engine/inventory/sysfs_pci.h"
#include "engine/inventory/sysfs_rdma.h"

namespace netsense::inventory {
namespace {

constexpr int kMaxPackages = 1 << 16;
constexpr char kProcessors[] = "devices/system/cpu";

// What bounds the work, whatever lists of processors stand in a copy: each processor is one node's, and is looked for
// only where it has a folder.
struct Processors {
  std::vector<std::string> folders;  // sorted
  std::set<int> taken;               // by the nodes before
};

NumaNode ReadNumaNode(const SysfsTree& tree, int index, const std::vector<int>& all, Processors* processors) {
  const std::string folder = absl::StrCat("devices/system/node/node", index);
  NumaNode node;
  node.index = index;
  node.cpus = ParseCpuList(tree.ReadOr(folder + "/cpulist")).value_or(std::vector<int>());
  std::erase_if(node.cpus, [processors](int cpu) { return !processors->taken.insert(cpu).second; });
  std::set<std::pair<int64_t, int64_t>> cores;
  for (int cpu : node.cpus) {
    const std::string name = absl::StrCat("cpu", cpu), topology = absl::StrCat(kProcessors, "/", name, "/topology");
    if (!std::binary_search(processors->folders.begin(), processors->folders.end(), name)) continue;
    auto package = tree.ReadInteger(topology + "/physical_package_id"), core = tree.ReadInteger(topology + "/core_id");
    if (package && *package >= 0 && *package < kMaxPackages) node.package = static_cast<int>(*package);
    if (package && core) cores.insert({*package, *core});
  }
  node.cores = static_cast<int>(cores.size());
  // "Node 0 MemTotal:       131811456 kB"
  std::vector<std::string> words =
      absl::StrSplit(tree.ReadOr(folder + "/meminfo"), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  auto total = std::find(words.begin(), words.end(), "MemTotal:");
  uint64_t kilobytes = 0;
  if (total != words.end() && ++total != words.end() && absl::SimpleAtoi(*total, &kilobytes))
    node.memory_bytes = kilobytes * 1024;
  std::vector<std::string> distances = absl::StrSplit(tree.ReadOr(folder + "/distance"), ' ', absl::SkipEmpty());
  for (size_t i = 0; i < distances.size() && i < all.size(); ++i)
    if (int distance = 0; absl::SimpleAtoi(distances[i], &distance)) node.distances[all[i]] = distance;
  return node;
}

std::vector<NumaNode> ReadNumaNodes(const SysfsTree& tree) {
  std::vector<int> indexes;
  for (const std::string& name : tree.List("devices/system/node"))
    if (int index = 0; name.rfind("node", 0) == 0 && absl::SimpleAtoi(name.substr(4), &index) && index >= 0 &&
                       name == absl::StrCat("node", index))
      indexes.push_back(index);
  std::sort(indexes.begin(), indexes.end());
  std::vector<NumaNode> nodes;
  Processors processors{.folders = tree.List(kProcessors), .taken = {}};
  for (int index : indexes) nodes.push_back(ReadNumaNode(tree, index, indexes, &processors));
  return nodes;
}

// By what stands in it.
bool HoldsRdmaDevices(const SysfsTree& tree, const std::string& folder) {
  const std::vector<std::string> names = tree.List(folder);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return tree.IsFolder(absl::StrCat(folder, "/", name, "/ports")); });
}

// A bond's netdev is on no bus: it sits where its members do, as far as these agree.
void PlaceBonds(std::vector<Port>* ports) {
  for (Port& bond : *ports) {
    if (bond.bond_members.empty() || !bond.place.address.empty()) continue;
    std::vector<const PciPlace*> members;
    for (const Port& member : *ports)
      if (member.bond == bond.netdev && !member.place.address.empty()) members.push_back(&member.place);
    if (members.empty()) continue;
    auto first = *std::min_element(members.begin(), members.end(), [](const PciPlace* a, const PciPlace* b) {
      return ParsePciAddress(a->address) < ParsePciAddress(b->address);
    });
    bond.place = *first;
    for (const PciPlace* member : members) {
      if (member->numa_node != first->numa_node) bond.place.numa_node = -1;
      if (member->path.size() != first->path.size() ||
          !std::equal(member->path.begin(), member->path.end() - (member->path.empty() ? 0 : 1), first->path.begin()))
        bond.place.path.clear();
    }
  }
}

Node OnlyInfiniband(const SysfsTree& tree, const std::string& folder) {
  Node node;
  std::vector<Netdev> none;
  node.ports = ReadRdmaPorts(tree, folder, &none);
  node.notes.push_back(
      "the snapshot holds RDMA devices only: no PCI, no GPUs, no NUMA nodes, no network devices, so affinity is not "
      "known");
  return node;
}

}  // namespace

std::vector<Port> ReadSysfsPorts(const SysfsTree& tree) {
  std::vector<Netdev> netdevs = ReadNetdevs(tree);
  std::vector<Port> ports = ReadRdmaPorts(tree, "class/infiniband", &netdevs);
  for (Port& port : ReadSlingshotPorts(tree, &netdevs)) ports.push_back(std::move(port));
  for (Netdev& netdev : netdevs) {
    netdev.port.name = PortName(netdev.port, false);
    ports.push_back(std::move(netdev.port));
  }
  PlaceBonds(&ports);
  return ports;
}

void SpreadDefaultRoute(std::vector<Port>* ports) {
  std::function<void(Port*)> spread = [&](Port* port) {
    port->default_route = true;
    for (Port& below : *ports)
      if (!below.default_route &&
          (std::find(port->lower.begin(), port->lower.end(), below.netdev) != port->lower.end() ||
           (!below.bond.empty() && below.bond == port->netdev)))
        spread(&below);
  };
  for (Port& port : *ports)
    if (port.default_route) spread(&port);
}

absl::StatusOr<Node> ReadSysfsSnapshot(const std::string& folder) {
  auto tree = SysfsTree::Open(folder);
  if (!tree.ok()) return absl::InvalidArgumentError(std::string(tree.status().message()));
  if (tree->IsFolder("sys")) tree = SysfsTree::Open(folder + "/sys");
  if (!tree.ok()) return tree.status();
  if (!tree->IsFolder("class") && !tree->IsFolder("bus") && !tree->IsFolder("devices")) {
    for (const char* infiniband : {"infiniband", ""})
      if (HoldsRdmaDevices(*tree, infiniband)) return OnlyInfiniband(*tree, infiniband);
    return absl::InvalidArgumentError(
        absl::StrCat(folder,
                     " is no snapshot of /sys: there is neither sys/ nor class/, bus/ or devices/ in it, nor is "
                     "it a copy of /sys/class/infiniband; make one with `tar` (it keeps the links, which tell "
                     "what is near to what)"));
  }
  Node node;
  node.ports = ReadSysfsPorts(*tree);
  node.gpus = ReadGpus(*tree);
  node.numa_nodes = ReadNumaNodes(*tree);
  if (tree->List("bus/pci/devices").empty())
    node.notes.push_back("the snapshot holds no bus/pci/devices: GPUs are not known");
  if (ShowsHypervisor(*tree)) node.virtualized = Virtualized::kYes;
  return node;
}

}  // namespace netsense::inventory
