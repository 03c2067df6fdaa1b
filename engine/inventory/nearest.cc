#include "engine/inventory/nearest.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "engine/inventory/pci.h"

namespace netsense::inventory {
namespace {

int RoleRank(v1::PortRole role) {
  switch (role) {
    case v1::PORT_ROLE_COMPUTE:
      return 0;
    case v1::PORT_ROLE_STORAGE:
      return 1;
    case v1::PORT_ROLE_MANAGEMENT:
      return 3;
    default:
      return 2;
  }
}

int NumaDistance(const Node& node, int from, int to) {
  const NumaNode* numa = FindNumaNode(node, from);
  if (numa == nullptr) return std::numeric_limits<int>::max();
  auto found = numa->distances.find(to);
  return found == numa->distances.end() ? std::numeric_limits<int>::max() : found->second;
}

bool SamePackage(const Node& node, int a, int b) {
  const NumaNode* of_a = FindNumaNode(node, a);
  const NumaNode* of_b = FindNumaNode(node, b);
  return of_a != nullptr && of_b != nullptr && of_a->package >= 0 && of_a->package == of_b->package;
}

}  // namespace

Affinity AffinityOf(const Node& node, const Gpu& gpu, const Port& port) {
  return AffinityOf(node, gpu.place, port.place);
}

Nearest NearestPort(const Node& node, const Gpu& gpu) {
  // Smaller is better; without the PCI address, so that equals are seen.
  auto rank = [&](size_t i) {
    const Port& port = node.ports[i];
    return std::tuple(RoleRank(port.role), AffinityOf(node, gpu, port),
                      !SamePackage(node, gpu.place.numa_node, port.place.numa_node),
                      NumaDistance(node, gpu.place.numa_node, port.place.numa_node), port.state == v1::PORT_STATE_DOWN,
                      std::numeric_limits<uint64_t>::max() - port.speed_bps);
  };
  std::vector<size_t> candidates;
  bool any = false;
  for (size_t i = 0; i < node.ports.size(); ++i) {
    const Port& port = node.ports[i];
    if (!port.is_shown() || port.fabric == v1::FABRIC_KIND_WIFI) continue;
    any = true;
    if (!port.place.address.empty()) candidates.push_back(i);
  }
  if (candidates.empty())
    return {.ports = {},
            .reason = any ? "no NIC's place on PCI is known" : "this machine has no NIC for work that is known"};
  size_t best =
      *std::min_element(candidates.begin(), candidates.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
  Nearest nearest{.affinity = AffinityOf(node, gpu, node.ports[best]), .ports = {}, .reason = ""};
  if (nearest.affinity == Affinity::kUnknown) {
    nearest.reason = "how near the NICs are is not known";
    return nearest;
  }
  for (size_t i : candidates)
    if (rank(i) == rank(best)) nearest.ports.push_back(i);
  std::sort(nearest.ports.begin(), nearest.ports.end(), [&](size_t a, size_t b) {
    auto key = [&](size_t i) {
      return std::tuple(ParsePciAddress(node.ports[i].place.address), node.ports[i].rdma_port, node.ports[i].name);
    };
    return key(a) < key(b);
  });
  return nearest;
}

}  // namespace netsense::inventory
