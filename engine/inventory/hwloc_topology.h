// What of hwloc is owned: topologies and bitmaps. For .cc files only: it is the one header that knows hwloc.
#pragma once

#include <hwloc.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/inventory/node.h"

namespace netsense::inventory {

struct DestroyTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using HwlocTopology = std::unique_ptr<hwloc_topology, DestroyTopology>;

// This machine's processors and memory, without its devices. hwloc reads the environment (HWLOC_SYNTHETIC,
// HWLOC_XMLFILE ...): hwloc_topology_is_thissystem() says whether it is this machine after all.
absl::StatusOr<HwlocTopology> LoadThisMachine();

// A machine from hwloc's XML, with all its devices. The text is not checked here: see hwloc_xml.h.
absl::StatusOr<HwlocTopology> LoadXml(const std::string& xml);

std::vector<NumaNode> ReadNumaNodes(hwloc_topology_t topology);

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

Bitmap BitmapOf(const std::vector<int>& numbers);
// Of a finite one, in order.
std::vector<int> NumbersIn(hwloc_const_bitmap_t bitmap);

}  // namespace netsense::inventory
