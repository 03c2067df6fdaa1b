// What PCI numbers and sysfs texts mean: addresses, classes, vendors, link speeds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/inventory/node.h"

namespace netsense::inventory {

// A PCI function. Ordered by address.
struct PciAddress {
  uint32_t domain = 0;  // 16 bits on most machines, 32 behind Intel VMD
  uint32_t bus = 0;
  uint32_t device = 0;
  uint32_t function = 0;

  auto operator<=>(const PciAddress&) const = default;
};

// "0000:3b:00.0", in either case of letters. Nothing else.
std::optional<PciAddress> ParsePciAddress(std::string_view text);
std::string FormatPciAddress(const PciAddress& address);

// What a function says it is.
struct PciId {
  uint32_t pci_class = 0;  // base class and subclass: 0x0302
  uint32_t vendor = 0;
  uint32_t device = 0;
};

// A GPU that computes: not the graphics of a board management controller or of a hypervisor.
bool IsGpu(const PciId& id);
// A network adapter by its class. Not every one is: better go by its net/ or infiniband/ where those are known.
bool IsNetworkClass(const PciId& id);
// Where nobody but the class and the name that the system gives tell that a netdev is a Wi-Fi card's.
bool IsWifi(const PciId& id, std::string_view netdev);
// A device that only a hypervisor has.
bool IsOfHypervisor(const PciId& id);
// The fabrics that a PCI id tells for sure; UNKNOWN otherwise.
v1::FabricKind FabricOf(const PciId& id);
std::string GpuVendorName(uint32_t vendor);
std::string FormatPciId(const PciId& id);  // "10de:2330"

// From the texts of current_link_speed ("32.0 GT/s PCIe"), current_link_width ("16") and their max_ fellows.
PcieLink ParsePcieLink(const std::string& speed, const std::string& width, const std::string& max_speed,
                       const std::string& max_width);

}  // namespace netsense::inventory
