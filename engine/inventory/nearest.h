// Which port a GPU should use.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/affinity.h"
#include "engine/inventory/node.h"

namespace netsense::inventory {

// The affinity of a GPU and a port; of two ports.
Affinity AffinityOf(const Node& node, const Gpu& gpu, const Port& port);

struct Nearest {
  Affinity affinity = Affinity::kUnknown;
  // Indexes in Node::ports: the nearest, and those that no rule but the PCI address tells from it. Empty = none.
  std::vector<size_t> ports;
  std::string reason;  // why there is none
};

// Role first (compute, storage, one without a role, management), then affinity, same package, NUMA distance, not down,
// link rate, PCI address. Virtual functions, members of bonds, Wi-Fi and what has no PCI address are passed over.
Nearest NearestPort(const Node& node, const Gpu& gpu);

}  // namespace netsense::inventory
