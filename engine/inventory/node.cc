#include "engine/inventory/node.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace netsense::inventory {

bool Port::is_nic() const {
  if (fabric == v1::FABRIC_KIND_LOOPBACK) return false;
  return bus != Bus::kVirtual || !rdma_device.empty() || !bond_members.empty();
}

bool Port::is_shown() const { return is_nic() && !virtual_function && bond.empty(); }

uint64_t PlausibleRate(double bps) { return bps > 0 && bps <= kMaxPortBps ? static_cast<uint64_t>(bps) : 0; }

std::string PortName(const Port& port, bool several_rdma_ports) {
  if (!port.rdma_device.empty())
    return several_rdma_ports ? absl::StrCat(port.rdma_device, ":", port.rdma_port) : port.rdma_device;
  return port.netdev.empty() ? port.place.address : port.netdev;
}

absl::Status CheckSize(const Node& node) {
  if (node.gpus.size() > kMaxGpus)
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxGpus, " GPUs: no machine has so many"));
  if (node.ports.size() > kMaxPorts)
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxPorts, " ports: no machine has so many"));
  return absl::OkStatus();
}

const NumaNode* FindNumaNode(const Node& node, int index) {
  auto found = std::find_if(node.numa_nodes.begin(), node.numa_nodes.end(),
                            [&](const NumaNode& numa) { return numa.index == index; });
  return found == node.numa_nodes.end() ? nullptr : &*found;
}

std::string Name(Bus bus) {
  switch (bus) {
    case Bus::kPci:
      return "pci";
    case Bus::kVirtio:
      return "virtio";
    case Bus::kUsb:
      return "usb";
    case Bus::kVirtual:
      return "virtual";
    case Bus::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace netsense::inventory
