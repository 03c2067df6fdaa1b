// A node as a tree of sysfs shows it: ports and GPUs, and for a copy the NUMA nodes too.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/inventory/node.h"
#include "engine/inventory/sysfs_tree.h"

namespace netsense::inventory {

// Every network device and RDMA port, each once. Addresses and default routes are not in sysfs.
std::vector<Port> ReadSysfsPorts(const SysfsTree& tree);

// Marks the netdevs beneath those that carry the default route: a bond's members, a VLAN's device.
void SpreadDefaultRoute(std::vector<Port>* ports);

// A copy of /sys that somebody made: a folder with sys/ in it, the copy of /sys itself, its class, or only its
// class/infiniband. InvalidArgument, with what was looked for, when it is none of these.
absl::StatusOr<Node> ReadSysfsSnapshot(const std::string& folder);

}  // namespace netsense::inventory
