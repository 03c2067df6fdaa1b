#include "engine/inventory/hwloc_topology.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace netsense::inventory {
namespace {

absl::Status Failed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("hwloc: ", what, ": ", strerror(errno)));
}

absl::StatusOr<HwlocTopology> Init() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return Failed("no memory for a topology");
  return HwlocTopology(raw);
}

int PackageOf(hwloc_obj_t numa) {
  for (hwloc_obj_t above = numa->parent; above != nullptr; above = above->parent)
    if (above->type == HWLOC_OBJ_PACKAGE) return static_cast<int>(above->os_index);
  return -1;
}

void ReadDistances(hwloc_topology_t topology, std::vector<NumaNode>* nodes) {
  unsigned count = 1;
  hwloc_distances_s* distances = nullptr;
  if (hwloc_distances_get_by_name(topology, "NUMALatency", &count, &distances, 0) != 0 || count == 0) return;
  for (NumaNode& node : *nodes)
    for (unsigned i = 0; i < distances->nbobjs; ++i) {
      if (static_cast<int>(distances->objs[i]->os_index) != node.index) continue;
      for (unsigned j = 0; j < distances->nbobjs; ++j)
        node.distances[static_cast<int>(distances->objs[j]->os_index)] =
            static_cast<int>(distances->values[i * distances->nbobjs + j]);
    }
  hwloc_distances_release(topology, distances);
}

}  // namespace

absl::StatusOr<HwlocTopology> LoadThisMachine() {
  auto topology = Init();
  if (topology.ok() && hwloc_topology_load(topology->get()) != 0) return Failed("cannot read this machine");
  return topology;
}

absl::StatusOr<HwlocTopology> LoadXml(const std::string& xml) {
  ASSIGN_OR_RETURN(auto topology, Init());
  if (hwloc_topology_set_xmlbuffer(topology.get(), xml.c_str(), static_cast<int>(xml.size() + 1)) != 0)
    return Failed("cannot read the XML");
  // The default filter drops every device.
  hwloc_topology_set_io_types_filter(topology.get(), HWLOC_TYPE_FILTER_KEEP_ALL);
  if (hwloc_topology_load(topology.get()) != 0) return Failed("cannot load the XML");
  return topology;
}

std::vector<NumaNode> ReadNumaNodes(hwloc_topology_t topology) {
  std::vector<NumaNode> nodes;
  for (hwloc_obj_t numa = nullptr;
       (numa = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, numa)) != nullptr;) {
    NumaNode node;
    node.index = static_cast<int>(numa->os_index);
    node.package = PackageOf(numa);
    for (int cpu : NumbersIn(numa->cpuset))
      if (hwloc_get_pu_obj_by_os_index(topology, static_cast<unsigned>(cpu)) != nullptr) node.cpus.push_back(cpu);
    int cores = hwloc_get_nbobjs_inside_cpuset_by_type(topology, numa->cpuset, HWLOC_OBJ_CORE);
    node.cores = cores > 0 ? cores : 0;
    node.memory_bytes = numa->attr->numanode.local_memory;
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(), [](const NumaNode& a, const NumaNode& b) { return a.index < b.index; });
  ReadDistances(topology, &nodes);
  return nodes;
}

Bitmap BitmapOf(const std::vector<int>& numbers) {
  Bitmap bitmap(hwloc_bitmap_alloc());
  for (int number : numbers) hwloc_bitmap_set(bitmap.get(), static_cast<unsigned>(number));
  return bitmap;
}

std::vector<int> NumbersIn(hwloc_const_bitmap_t bitmap) {
  std::vector<int> numbers;
  unsigned number = 0;
  hwloc_bitmap_foreach_begin(number, bitmap) { numbers.push_back(static_cast<int>(number)); }
  hwloc_bitmap_foreach_end();
  return numbers;
}

}  // namespace netsense::inventory
