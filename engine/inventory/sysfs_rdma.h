// RDMA devices and Slingshot's as sysfs shows them.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/node.h"
#include "engine/inventory/sysfs_netdevs.h"
#include "engine/inventory/sysfs_tree.h"

namespace netsense::inventory {

// One port for each port of the RDMA devices in `folder` ("class/infiniband", or "" where the tree is that folder
// itself); each takes the netdev that belongs to it out of `netdevs` and joins with it.
std::vector<Port> ReadRdmaPorts(const SysfsTree& tree, const std::string& folder, std::vector<Netdev>* netdevs);

// Slingshot's adapters, which have no RDMA device: likewise.
std::vector<Port> ReadSlingshotPorts(const SysfsTree& tree, std::vector<Netdev>* netdevs);

}  // namespace netsense::inventory
