// What the kernel tells of this machine's network devices outside of sysfs.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/node.h"

namespace netsense::inventory {

// Adds addresses and default routes of this network namespace to the ports of those names, and a bare port for each
// network device that is not among them.
void AddAddresses(std::vector<Port>* ports);

// The netdev that has `address` (numeric), or, for any of 127.0.0.0/8 and ::1, the loopback device; empty = none.
std::string NetdevOfAddress(const std::string& address);

}  // namespace netsense::inventory
