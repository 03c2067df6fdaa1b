// Whether the nodes of a cluster have the same rails: rail N is of use only when it is the same place everywhere.
#pragma once

#include <string>
#include <vector>

#include "raylet_bridge/records/door_record.h"

namespace netsense {

struct NodeRails {
  std::string label;  // names the node in a warning
  const DoorRecord* door;
};

// One line for each node and rail whose fabric, link rate or PCI address is another than that of most nodes, and for
// each node that has another number of rails. Empty when all agree, or no node has rails.
std::vector<std::string> RailWarnings(const std::vector<NodeRails>& nodes);

}  // namespace netsense
