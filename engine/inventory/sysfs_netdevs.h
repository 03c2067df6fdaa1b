// Network devices as sysfs shows them.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/node.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/sysfs_tree.h"

namespace netsense::inventory {

// A network device, and what it takes to find the RDMA port that belongs to it.
struct Netdev {
  Port port;  // as a port of its own: Ethernet, loopback, or unknown
  PciId id;
  int index_on_function = 0;  // several ports of one PCI function count from 0
  bool infiniband = false;    // IP over InfiniBand or Omni-Path
};

Netdev ReadNetdev(const SysfsTree& tree, const std::string& name);
std::vector<Netdev> ReadNetdevs(const SysfsTree& tree);

// "400 Gb/sec (4X NDR)" as bits per second; 0 when it is something else.
uint64_t ParseRdmaRate(const std::string& text);

}  // namespace netsense::inventory
