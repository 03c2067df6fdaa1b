#include "engine/inventory/roles.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/inventory/nearest.h"
#include "proto/enum_names.h"

namespace netsense::inventory {
namespace {

bool IsComputeFabric(v1::FabricKind fabric) {
  return fabric == v1::FABRIC_KIND_INFINIBAND || fabric == v1::FABRIC_KIND_EFA || fabric == v1::FABRIC_KIND_SLINGSHOT ||
         fabric == v1::FABRIC_KIND_OMNIPATH;
}

// What the port can carry at most; 0 = not known.
double GbpsOf(const Port& port) { return port.speed_bps > 0 ? port.speed_bps / 1e9 : port.pcie.gbps; }

struct Machine {
  const Node& node;
  const Port* fastest = nullptr;
  bool compute_fabric = false;
};

struct RoleAndReason {
  v1::PortRole role;
  std::string reason;
};

RoleAndReason ByFabricAlone(const Port& port, const Machine& machine, const std::string& why) {
  if (IsComputeFabric(port.fabric))
    return {v1::PORT_ROLE_COMPUTE, absl::StrCat(FabricTitle(port.fabric), " is a fabric for computing")};
  if (port.rdma_device.empty())
    return {v1::PORT_ROLE_UNKNOWN, absl::StrCat(why, ", and it has no RDMA device: nothing tells what it is for")};
  if (machine.compute_fabric)
    return {v1::PORT_ROLE_STORAGE, absl::StrCat(why, ", and other ports are of a fabric for computing")};
  return {v1::PORT_ROLE_COMPUTE, absl::StrCat("has an RDMA device (", why, ")")};
}

RoleAndReason ByNearestGpu(const Port& port, const Machine& machine) {
  const std::vector<Gpu>& gpus = machine.node.gpus;
  auto nearest = std::min_element(gpus.begin(), gpus.end(), [&](const Gpu& a, const Gpu& b) {
    return AffinityOf(machine.node, a, port) < AffinityOf(machine.node, b, port);
  });
  Affinity affinity = AffinityOf(machine.node, *nearest, port);
  const std::string near = absl::StrCat(Name(affinity), " to ", nearest->name);
  if (affinity <= Affinity::kPxb) return {v1::PORT_ROLE_COMPUTE, near + ": behind the same PCIe bridge"};
  if (affinity == Affinity::kUnknown) return ByFabricAlone(port, machine, "how near it is to the GPUs is not known");
  if (IsComputeFabric(port.fabric))
    return {v1::PORT_ROLE_COMPUTE, absl::StrCat(FabricTitle(port.fabric), " is a fabric for computing; ", near)};
  if (affinity == Affinity::kNode && port.place.numa_node < 0)
    return ByFabricAlone(port, machine, "of how near it is to the GPUs only the NUMA node is known");
  return {v1::PORT_ROLE_STORAGE, near + ": behind no PCIe bridge of a GPU"};
}

RoleAndReason RoleOf(const Port& port, const Machine& machine) {
  if (!port.is_nic()) return {v1::PORT_ROLE_UNKNOWN, "no port of a network adapter"};
  if (port.virtual_function) return {v1::PORT_ROLE_UNKNOWN, "a virtual function"};
  if (port.default_route) return {v1::PORT_ROLE_MANAGEMENT, "carries the default route"};
  if (port.fabric == v1::FABRIC_KIND_WIFI) return {v1::PORT_ROLE_UNKNOWN, "Wi-Fi is no port for work"};
  if (port.bus == Bus::kUsb) return {v1::PORT_ROLE_MANAGEMENT, "attached by USB"};
  if (!IsComputeFabric(port.fabric) && GbpsOf(port) > 0 && GbpsOf(port) * 10 < GbpsOf(*machine.fastest))
    return {v1::PORT_ROLE_MANAGEMENT, absl::StrFormat("carries at most %.4g Gb/s, less than a tenth of %s's %.4g",
                                                      GbpsOf(port), machine.fastest->name, GbpsOf(*machine.fastest))};
  return machine.node.gpus.empty() ? ByFabricAlone(port, machine, "no GPU is known here") : ByNearestGpu(port, machine);
}

}  // namespace

void AssignRoles(Node* node) {
  Machine machine{*node};
  for (const Port& port : node->ports) {
    if (!port.is_nic() || port.virtual_function || port.fabric == v1::FABRIC_KIND_WIFI) continue;
    machine.compute_fabric |= IsComputeFabric(port.fabric);
    if (machine.fastest == nullptr || GbpsOf(port) > GbpsOf(*machine.fastest)) machine.fastest = &port;
  }
  for (Port& port : node->ports) {
    RoleAndReason verdict = RoleOf(port, machine);
    port.role = verdict.role;
    port.role_reason = std::move(verdict.reason);
  }
  for (Port& member : node->ports) {
    auto bond = std::find_if(node->ports.begin(), node->ports.end(),
                             [&](const Port& port) { return !member.bond.empty() && port.netdev == member.bond; });
    if (bond == node->ports.end()) continue;
    member.role = bond->role;
    member.role_reason = absl::StrCat("member of ", member.bond, ": ", bond->role_reason);
  }
}

}  // namespace netsense::inventory
