#include "engine/pinning.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/hwloc_topology.h"

namespace netsense {
namespace {

using inventory::Bitmap, inventory::BitmapOf, inventory::ParseCpuList;

std::vector<int> AllowedCpus(hwloc_topology_t topology) {
  Bitmap bitmap(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(topology, bitmap.get(), HWLOC_CPUBIND_PROCESS) != 0) return {};
  return inventory::NumbersIn(bitmap.get());
}

std::vector<int> Common(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// The one node that all of these are of; null when there is none.
const inventory::NumaNode* NodeOfCpus(const std::vector<inventory::NumaNode>& nodes, const std::vector<int>& cpus) {
  for (const inventory::NumaNode& node : nodes)
    if (std::includes(node.cpus.begin(), node.cpus.end(), cpus.begin(), cpus.end())) return &node;
  return nullptr;
}

}  // namespace

v1::Binding PlanBinding(const std::vector<inventory::NumaNode>& nodes, const std::vector<int>& allowed,
                        const v1::Port& port, const std::vector<int>& by_hand) {
  v1::Binding binding;
  if (!by_hand.empty()) {
    binding.set_cpus(inventory::CpuList(by_hand));
    if (const auto* node = NodeOfCpus(nodes, by_hand)) binding.set_memory_node(node->index);
    binding.set_reason("set by hand");
    return binding;
  }
  const std::string name = port.name().empty() ? "the port" : port.name();
  if (!port.has_numa_node()) {
    binding.set_reason(absl::StrCat("not bound: nobody knows next to which processors ", name, " is"));
    return binding;
  }
  auto node = std::find_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n.index == port.numa_node(); });
  if (node == nodes.end()) {
    binding.set_reason(
        absl::StrCat("not bound: ", name, " is at NUMA node ", port.numa_node(), ", which is not known"));
    return binding;
  }
  const std::vector<int> cpus = Common(node->cpus, allowed);
  if (cpus.empty()) {
    binding.set_reason(absl::StrCat("not bound: ", name, " is at NUMA node ", node->index,
                                    ", and this process may use none of its processors"));
    return binding;
  }
  binding.set_cpus(inventory::CpuList(cpus));
  if (node->memory_bytes > 0) binding.set_memory_node(node->index);
  binding.set_reason(absl::StrCat("NUMA node ", node->index, " of ", name));
  return binding;
}

struct Pinning::Machine {
  inventory::HwlocTopology topology;
  std::vector<inventory::NumaNode> nodes;
  std::vector<int> allowed;
  std::string no_memory_binding;  // why memory cannot be bound; empty when it can

  bool BindMemory(int node) const {
    Bitmap nodes_wanted = BitmapOf({node});
    return hwloc_set_membind(topology.get(), nodes_wanted.get(), HWLOC_MEMBIND_BIND,
                             HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0;
  }
};

absl::StatusOr<std::unique_ptr<Pinning>> Pinning::Create(const PinningOptions& options) {
  auto machine = std::make_unique<Machine>();
  auto topology = inventory::LoadThisMachine();
  std::vector<int> by_hand;
  if (topology.ok()) {
    machine->topology = *std::move(topology);
    machine->nodes = inventory::ReadNumaNodes(machine->topology.get());
    machine->allowed = AllowedCpus(machine->topology.get());
  }
  if (!options.cpus.empty()) {
    ASSIGN_OR_RETURN(by_hand, ParseCpuList(options.cpus));
    if (Common(by_hand, machine->allowed) != by_hand)
      return absl::InvalidArgumentError(absl::StrCat("this process may use the processors ",
                                                     inventory::CpuList(machine->allowed), " only, not all of ",
                                                     options.cpus));
  }
  // Containers often forbid it: tried once, on a thread that nobody needs.
  if (machine->topology != nullptr && !machine->nodes.empty())
    std::thread([&machine] {
      if (!machine->BindMemory(machine->nodes.front().index))
        machine->no_memory_binding = absl::StrCat("memory cannot be bound here: ", strerror(errno));
    }).join();
  return std::unique_ptr<Pinning>(new Pinning(std::move(machine), options.enabled, std::move(by_hand)));
}

Pinning::Pinning(std::unique_ptr<Machine> machine, bool enabled, std::vector<int> by_hand)
    : machine_(std::move(machine)), enabled_(enabled), by_hand_(std::move(by_hand)) {}

Pinning::~Pinning() = default;

v1::Binding Pinning::Plan(const v1::Port& port) const {
  v1::Binding binding;
  if (!enabled_) {
    binding.set_reason("not bound: turned off");
    return binding;
  }
  binding = PlanBinding(machine_->nodes, machine_->allowed, port, by_hand_);
  if (binding.has_memory_node() && !machine_->no_memory_binding.empty()) {
    binding.clear_memory_node();
    binding.mutable_reason()->append("; " + machine_->no_memory_binding);
  }
  return binding;
}

void Pinning::Apply(const v1::Binding& binding) const {
  thread_local std::string in_force_cpus;
  thread_local int in_force_node = -1;
  if (machine_->topology == nullptr) return;
  if (binding.cpus() != in_force_cpus) {
    const auto cpus =
        binding.cpus().empty() ? machine_->allowed : ParseCpuList(binding.cpus()).value_or(machine_->allowed);
    if (hwloc_set_cpubind(machine_->topology.get(), BitmapOf(cpus).get(), HWLOC_CPUBIND_THREAD) != 0)
      spdlog::warn("a thread cannot be bound to the processors {}: {}", binding.cpus(), strerror(errno));
    in_force_cpus = binding.cpus();
  }
  const int node = binding.has_memory_node() ? binding.memory_node() : -1;
  if (node == in_force_node) return;
  if (node >= 0) {
    if (!machine_->BindMemory(node)) spdlog::warn("memory cannot be bound to NUMA node {}: {}", node, strerror(errno));
  } else {
    hwloc_set_membind(machine_->topology.get(), hwloc_topology_get_complete_nodeset(machine_->topology.get()),
                      HWLOC_MEMBIND_DEFAULT, HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
  }
  in_force_node = node;
}

}  // namespace netsense
