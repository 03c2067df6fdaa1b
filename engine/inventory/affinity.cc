#include "engine/inventory/affinity.h"

#include <algorithm>

namespace netsense::inventory {
namespace {

size_t CommonPrefix(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// Bridges on the way from the device up to the common ancestor, which is the `common`-th of its path.
size_t BridgesBelow(const std::vector<std::string>& path, size_t common) {
  return path.size() > common ? path.size() - common - 1 : 0;
}

}  // namespace

Affinity AffinityOf(const PciPlace& a, const PciPlace& b, bool hidden) {
  if (!a.path.empty() && !b.path.empty()) {
    size_t common = CommonPrefix(a.path, b.path);
    if (common > 1)
      return BridgesBelow(a.path, common) <= 1 && BridgesBelow(b.path, common) <= 1 ? Affinity::kPix : Affinity::kPxb;
    if (common == 1) return hidden ? Affinity::kUnknown : Affinity::kPhb;
  }
  if (a.numa_node < 0 || b.numa_node < 0) return Affinity::kUnknown;
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
  for (const Gpu& gpu : node->gpus) places.push_back(&gpu.place);
  for (const Port& port : node->ports)
    if (!port.place.path.empty()) places.push_back(&port.place);
  // One device alone can only be called hidden where a hypervisor is known to be.
  if (places.empty() || (virtualized == Virtualized::kUnknown && (node->gpus.empty() || places.size() < 2))) return;
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i]->path.empty()) return;
    if (places[i]->numa_node >= 0 && node->numa_nodes.size() != 1) return;
    // A virtual machine of one NUMA node may say 0 as well as nothing; another machine says 0 because it knows.
    if (places[i]->numa_node >= 0 && virtualized != Virtualized::kYes) return;
    for (size_t j = 0; j < i; ++j)
      if (places[i]->address != places[j]->address && CommonPrefix(places[i]->path, places[j]->path) > 1) return;
  }
  node->topology_hidden = true;
  node->notes.emplace_back(
      virtualized == Virtualized::kYes
          ? "topology hidden by the hypervisor: it tells neither the real PCIe tree nor the NUMA nodes of the devices, "
            "so what is near to what is not known here; a topology file of the provider (NCCL's format) can say it"
          : "topology hidden by the hypervisor, or not told by the firmware: no device is on a NUMA node and all are "
            "straight under one host bridge, so what is near to what is not known here; a topology file of the "
            "provider (NCCL's format) can say it");
}

}  // namespace netsense::inventory
