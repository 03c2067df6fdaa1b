#include "engine/inventory/to_proto.h"

#include "base/utf8.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/nearest.h"

namespace netsense::inventory {

v1::Port ToProto(const Port& port) {
  v1::Port message;
  message.set_name(ToUtf8(port.name));
  message.set_netdev(ToUtf8(port.netdev));
  message.set_fabric(port.fabric);
  message.set_speed_bps(port.speed_bps);
  message.set_mtu(port.mtu);
  for (const std::string& address : port.addresses) message.add_addresses(address);
  message.set_rdma_device(ToUtf8(port.rdma_device));
  message.set_rdma_port(static_cast<uint32_t>(port.rdma_port));
  message.set_state(port.state);
  message.set_state_text(ToUtf8(port.state_text));
  message.set_pci_address(port.place.address);
  if (port.place.numa_node >= 0) message.set_numa_node(port.place.numa_node);
  message.set_virtual_function(port.virtual_function);
  message.set_bond(ToUtf8(port.bond));
  for (const std::string& member : port.bond_members) message.add_bond_members(ToUtf8(member));
  for (const Gid& gid : port.gids) {
    v1::Gid& entry = *message.add_gids();
    entry.set_index(gid.index);
    entry.set_gid(ToUtf8(gid.gid));
    entry.set_type(ToUtf8(gid.type));
    entry.set_netdev(ToUtf8(gid.netdev));
  }
  v1::PcieLink& pcie = *message.mutable_pcie();
  pcie.set_generation(static_cast<uint32_t>(port.pcie.generation));
  pcie.set_width(static_cast<uint32_t>(port.pcie.width));
  pcie.set_max_generation(static_cast<uint32_t>(port.pcie.max_generation));
  pcie.set_max_width(static_cast<uint32_t>(port.pcie.max_width));
  pcie.set_gbps(port.pcie.gbps);
  message.set_driver(ToUtf8(port.driver));
  message.set_role(port.role);
  message.set_role_reason(ToUtf8(port.role_reason));
  if (port.rail) message.set_rail(*port.rail);
  message.set_rail_reason(ToUtf8(port.rail_reason));
  return message;
}

void Describe(const Node& node, v1::EngineInfo* info) {
  for (const Port& port : node.ports)
    if (!port.addresses.empty() || (port.is_nic() && !port.virtual_function)) *info->add_ports() = ToProto(port);
  for (const Gpu& gpu : node.gpus) {
    v1::Gpu& message = *info->add_gpus();
    message.set_name(gpu.name);
    message.set_vendor(ToUtf8(gpu.vendor));
    message.set_model(ToUtf8(gpu.model));
    message.set_pci_address(gpu.place.address);
    if (gpu.place.numa_node >= 0) message.set_numa_node(gpu.place.numa_node);
    message.set_nvlink_domain(ToUtf8(gpu.nvlink_domain));
    Nearest nearest = NearestPort(node, gpu);
    if (nearest.ports.empty()) continue;
    message.set_nearest_port(ToUtf8(node.ports[nearest.ports.front()].name));
    message.set_nearest_affinity(Name(nearest.affinity));
  }
  for (const NumaNode& numa : node.numa_nodes) {
    v1::NumaNode& message = *info->add_numa_nodes();
    message.set_index(numa.index);
    message.set_cpus(CpuList(numa.cpus));
    message.set_memory_bytes(numa.memory_bytes);
  }
  for (const std::string& note : node.notes) info->add_inventory_notes(ToUtf8(note));
}

}  // namespace netsense::inventory
