// A picture of a machine: NUMA nodes, what shares a PCIe bridge, GPUs, NICs, rails.
#pragma once

#include <string>

#include "engine/inventory/node.h"

namespace netsense {

// Rails have colours that differ for colour-blind people too, and their number beside it.
std::string TopologySvg(const inventory::Node& node);

}  // namespace netsense
