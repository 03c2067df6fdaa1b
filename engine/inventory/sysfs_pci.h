// PCI as sysfs shows it.
#pragma once

#include <string>
#include <vector>

#include "engine/inventory/node.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/sysfs_tree.h"

namespace netsense::inventory {

// The PCI function that a device of any class sits on: its own, or the one it hangs on over virtio or USB.
struct SysfsDevice {
  PciPlace place;
  Bus bus = Bus::kUnknown;
  PciId id;
  PcieLink pcie;
  std::string driver;
  bool virtual_function = false;
};

// `folder` is a device's folder of a class ("class/net/eth0"), or a PCI function's. A copy that followed the links
// still tells address, NUMA node and ids by the device's files, but not the path.
SysfsDevice ReadDevice(const SysfsTree& tree, const std::string& folder);

// Every GPU, by PCI address, without names. Virtual functions are left out.
std::vector<Gpu> ReadGpus(const SysfsTree& tree);

// Whether the tree is a virtual machine's: by its firmware's names and its devices.
bool ShowsHypervisor(const SysfsTree& tree);

// Whether these names of a machine (DMI's vendor and product) are a hypervisor's.
bool IsHypervisorName(const std::string& vendor, const std::string& product);

}  // namespace netsense::inventory
