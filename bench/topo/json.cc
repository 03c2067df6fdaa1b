#include "bench/topo/json.h"

#include "engine/inventory/affinity.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/nearest.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

using inventory::Gpu;
using inventory::Name;
using inventory::Node;
using inventory::Port;
using Json = nlohmann::json;

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

template <typename Number>
Json KnownOrNull(Number number) {
  return number > 0 ? Json(number) : Json();
}

Json NumaJson(const Node& node, const inventory::PciPlace& place) {
  const inventory::NumaNode* numa = NumaNodeOf(node, place);
  const int index = numa == nullptr ? place.numa_node : numa->index;
  return index < 0 ? Json() : Json(index);
}

Json PcieJson(const inventory::PcieLink& link) {
  return {{"generation", KnownOrNull(link.generation)},
          {"width", KnownOrNull(link.width)},
          {"max_generation", KnownOrNull(link.max_generation)},
          {"max_width", KnownOrNull(link.max_width)},
          {"gbps", KnownOrNull(link.gbps)}};
}

Json GpuJson(const Node& node, const Gpu& gpu) {
  inventory::Nearest nearest = NearestPort(node, gpu);
  Json names = Json::array();
  for (size_t i : nearest.ports) names.push_back(node.ports[i].name);
  const inventory::NumaNode* numa = NumaNodeOf(node, gpu.place);
  Json nvlinks = Json::object();
  for (const auto& [other, count] : gpu.nvlinks) nvlinks[node.gpus[other].name] = count;
  return {{"name", gpu.name},
          {"vendor", OrNull(gpu.vendor)},
          {"model", OrNull(gpu.model)},
          {"pci", OrNull(gpu.place.address)},
          {"pci_path", gpu.place.path},
          {"numa", NumaJson(node, gpu.place)},
          {"cpus", numa == nullptr ? Json() : OrNull(inventory::CpuList(numa->cpus))},
          {"nearest_nic", names.empty() ? Json() : names.front()},
          {"nearest_nics", names},
          {"nearest_reason", OrNull(nearest.reason)},
          {"affinity", names.empty() ? Json() : Json(Name(nearest.affinity))},
          {"nvlinks", nvlinks},
          {"nvlink_domain", OrNull(gpu.nvlink_domain)},
          {"pcie", PcieJson(gpu.pcie)}};
}

Json NicJson(const Node& node, const Port& port) {
  Json gids = Json::array();
  for (const inventory::Gid& gid : port.gids)
    gids.push_back(
        {{"index", gid.index}, {"gid", gid.gid}, {"type", OrNull(gid.type)}, {"netdev", OrNull(gid.netdev)}});
  return {{"name", port.name},
          {"netdev", OrNull(port.netdev)},
          {"rdma_device", OrNull(port.rdma_device)},
          {"rdma_port", KnownOrNull(port.rdma_port)},
          {"pci", OrNull(port.place.address)},
          {"pci_path", port.place.path},
          {"numa", NumaJson(node, port.place)},
          {"bus", Name(port.bus)},
          {"fabric", FabricName(port.fabric)},
          {"role", port.role == v1::PORT_ROLE_UNKNOWN ? Json() : Json(PortRoleName(port.role))},
          {"role_reason", OrNull(port.role_reason)},
          {"rail", port.rail ? Json(*port.rail) : Json()},
          {"rail_reason", OrNull(port.rail_reason)},
          {"speed_gbps", KnownOrNull(static_cast<double>(port.speed_bps) / 1e9)},
          {"state", port.state == v1::PORT_STATE_UNKNOWN ? Json() : Json(PortStateName(port.state))},
          {"state_text", OrNull(port.state_text)},
          {"mtu", KnownOrNull(port.mtu)},
          {"addresses", port.addresses},
          {"default_route", port.default_route},
          {"gids", std::move(gids)},
          {"virtual_function", port.virtual_function},
          {"bond", OrNull(port.bond)},
          {"bond_members", port.bond_members},
          {"driver", OrNull(port.driver)},
          {"model", OrNull(port.model)},
          {"pcie", PcieJson(port.pcie)}};
}

}  // namespace

Json TopologyJson(const Node& node) {
  std::vector<const Port*> nics;
  for (const Port& port : node.ports)
    if (port.is_nic()) nics.push_back(&port);
  Json gpus = Json::array(), nic_list = Json::array(), numa_nodes = Json::array();
  Json affinity = Json::array(), gpu_affinity = Json::array(), rows = Json::array(), columns = Json::array();
  for (const Port* nic : nics) {
    nic_list.push_back(NicJson(node, *nic));
    columns.push_back(nic->name);
  }
  for (const Gpu& gpu : node.gpus) {
    gpus.push_back(GpuJson(node, gpu));
    rows.push_back(gpu.name);
    Json to_nics = Json::array(), to_gpus = Json::array();
    for (const Port* nic : nics) to_nics.push_back(Name(AffinityOf(node, gpu, *nic)));
    for (const Gpu& other : node.gpus)
      to_gpus.push_back(&other == &gpu ? "X" : Name(AffinityOf(node, gpu.place, other.place)));
    affinity.push_back(std::move(to_nics));
    gpu_affinity.push_back(std::move(to_gpus));
  }
  for (const inventory::NumaNode& numa : node.numa_nodes)
    numa_nodes.push_back({{"index", numa.index < 0 ? Json() : Json(numa.index)},
                          {"package", numa.package < 0 ? Json() : Json(numa.package)},
                          {"cpus", OrNull(inventory::CpuList(numa.cpus))},
                          {"cores", KnownOrNull(numa.cores)},
                          {"memory_bytes", KnownOrNull(numa.memory_bytes)}});
  return {{"schema_version", 1},
          {"source", node.source},
          {"hostname", OrNull(node.hostname)},
          {"topology_hidden", node.topology_hidden},
          {"notes", node.notes},
          {"gpus", std::move(gpus)},
          {"nics", std::move(nic_list)},
          {"numa_nodes", std::move(numa_nodes)},
          {"affinity_rows", std::move(rows)},
          {"affinity_columns", std::move(columns)},
          {"affinity", std::move(affinity)},
          {"gpu_affinity", std::move(gpu_affinity)}};
}

}  // namespace netsense
