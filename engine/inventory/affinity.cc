#include "engine/inventory/affinity.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace netsense::inventory {
namespace {

size_t CommonPrefix(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// Bridges on the way from the device up to the common ancestor, which is the `common`-th of its path.
size_t BridgesBelow(const std::vector<std::string>& path, size_t common) {
  return path.size() > common ? path.size() - common - 1 : 0;
}

// "GPU0, mlx5_0", and no more of them than one reads.
std::string NameList(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 8;
  if (names.size() <= kNamed) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kNamed, ", "), " and ", names.size() - kNamed,
                      " more");
}

}  // namespace

const NumaNode* NumaNodeOf(const Node& node, const PciPlace& place) {
  if (place.numa_node >= 0) return FindNumaNode(node, place.numa_node);
  // Only a real machine's tree says that there is no other.
  const bool only = node.numa_nodes.size() == 1 && node.virtualized == Virtualized::kNo && !place.path.empty();
  return only ? &node.numa_nodes.front() : nullptr;
}

Affinity AffinityOf(const Node& node, const PciPlace& a, const PciPlace& b) {
  const bool hidden = node.topology_hidden;
  if (!a.path.empty() && !b.path.empty()) {
    size_t common = CommonPrefix(a.path, b.path);
    if (common > 1)
      return BridgesBelow(a.path, common) <= 1 && BridgesBelow(b.path, common) <= 1 ? Affinity::kPix : Affinity::kPxb;
    if (common == 1) return hidden ? Affinity::kUnknown : Affinity::kPhb;
  }
  if (a.numa_node < 0 || b.numa_node < 0) {
    const NumaNode* of_a = NumaNodeOf(node, a);
    return of_a != nullptr && of_a == NumaNodeOf(node, b) ? Affinity::kNode : Affinity::kUnknown;
  }
  if (a.numa_node != b.numa_node) return Affinity::kSys;
  // One NUMA node: without both paths, or with paths that are not the real ones, it may be any of PIX to NODE.
  return a.path.empty() || b.path.empty() || hidden ? Affinity::kUnknown : Affinity::kNode;
}

std::string Name(Affinity affinity) {
  switch (affinity) {
    case Affinity::kPix:
      return "PIX";
    case Affinity::kPxb:
      return "PXB";
    case Affinity::kPhb:
      return "PHB";
    case Affinity::kNode:
      return "NODE";
    case Affinity::kSys:
      return "SYS";
    case Affinity::kUnknown:
      break;
  }
  return "UNKNOWN";
}

std::string Meaning(Affinity affinity) {
  switch (affinity) {
    case Affinity::kPix:
      return "at most one PCIe bridge between them";
    case Affinity::kPxb:
      return "several PCIe bridges, no host bridge";
    case Affinity::kPhb:
      return "through a PCIe host bridge, which is mostly the CPU";
    case Affinity::kNode:
      return "between host bridges of one NUMA node";
    case Affinity::kSys:
      return "between NUMA nodes, over the link of the CPUs";
    case Affinity::kUnknown:
      break;
  }
  return "UNKNOWN: cannot be told, see the notes";
}

void DetectHiddenTopology(Node* node) {
  const Virtualized virtualized = node->virtualized;
  if (virtualized == Virtualized::kNo) return;
  std::vector<const PciPlace*> places;
  std::map<std::pair<std::string, std::string>, std::string> behind;  // host bridge, first bridge -> a device's address
  for (const Gpu& gpu : node->gpus) places.push_back(&gpu.place);
  for (const Port& port : node->ports)
    if (!port.place.path.empty()) places.push_back(&port.place);
  // One device alone can only be called hidden where a hypervisor is known to be.
  if (places.empty() || (virtualized == Virtualized::kUnknown && (node->gpus.empty() || places.size() < 2))) return;
  for (const PciPlace* place : places) {
    if (place->path.empty()) return;
    if (place->numa_node >= 0 && node->numa_nodes.size() != 1) return;
    // A virtual machine of one NUMA node may say 0 as well as nothing; another machine says 0 because it knows.
    if (place->numa_node >= 0 && virtualized != Virtualized::kYes) return;
    if (place->path.size() < 2) continue;
    auto [first, added] = behind.try_emplace({place->path[0], place->path[1]}, place->address);
    if (!added && first->second != place->address) return;
  }
  node->topology_hidden = true;
  node->notes.emplace_back(
      virtualized == Virtualized::kYes
          ? "topology hidden by the hypervisor: it tells neither the real PCIe tree nor the NUMA nodes of the devices, "
            "so what is near to what is not known here; a topology file of the provider (NCCL's format) can say it"
          : "topology hidden by the hypervisor, or not told by the firmware: no device is on a NUMA node and no two "
            "share a PCIe bridge, so what is near to what is not known here; a topology file of the "
            "provider (NCCL's format) can say it");
}

void NoteUnknowns(Node* node) {
  std::vector<std::string> nowhere, only_numa, no_numa, no_cpus;
  size_t devices = 0;
  auto look = [&](const std::string& name, const PciPlace& place) {
    ++devices;
    const NumaNode* numa = NumaNodeOf(*node, place);
    if (place.path.empty())
      (place.numa_node < 0 ? nowhere : only_numa).push_back(name);
    else if (place.numa_node < 0 && numa == nullptr && !node->topology_hidden)
      no_numa.push_back(name);
    if ((place.numa_node >= 0 || numa != nullptr) && (numa == nullptr || numa->cpus.empty())) no_cpus.push_back(name);
  };
  for (const Gpu& gpu : node->gpus) look(gpu.name, gpu.place);
  for (const Port& port : node->ports)
    if (port.is_shown()) look(port.name, port.place);
  if (!nowhere.empty())
    node->notes.push_back(absl::StrCat("neither a place on PCI nor a NUMA node is told of ", NameList(nowhere),
                                       ": what is near to it is not known"));
  if (!only_numa.empty() && devices > 1)
    node->notes.push_back(absl::StrCat("no place on PCI is told of ", NameList(only_numa),
                                       ": on its NUMA node, how near it is to what is not known"));
  if (!no_numa.empty())
    node->notes.push_back(absl::StrCat("no NUMA node is told of ", NameList(no_numa),
                                       ": how far it is from what shares no PCIe bridge with it is not known"));
  if (!no_cpus.empty())
    node->notes.push_back(absl::StrCat("which processors are near to ", NameList(no_cpus), " is not told"));
  if (node->numa_nodes.size() == 1 && node->numa_nodes.front().index < 0)
    node->notes.emplace_back(
        "the only CPU has no NUMA number: all devices are taken to be on it (NODE), which does not hold on a virtual "
        "machine whose hypervisor hides the NUMA nodes");
}

}  // namespace netsense::inventory
