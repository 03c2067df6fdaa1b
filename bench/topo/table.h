// A machine's topology as text, in the form of `nvidia-smi topo -m`.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/node.h"

namespace netsense {

// The ports that stand in table and picture: every NIC's but virtual functions and members of bonds. Indexes in
// Node::ports.
std::vector<size_t> ShownPorts(const inventory::Node& node);

// The matrix, the legends, the nearest NIC of each GPU, the rails, the notes.
std::string TopologyTable(const inventory::Node& node);

// "400 Gb/s"; "" when it is not known.
std::string SpeedText(const inventory::Port& port);

}  // namespace netsense
