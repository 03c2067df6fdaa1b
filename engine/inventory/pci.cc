#include "engine/inventory/pci.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace netsense::inventory {
namespace {

constexpr uint32_t kNvidia = 0x10de, kAmd = 0x1002, kIntel = 0x8086, kHabana = 0x1da3, kAmazon = 0x1d0f, kCray = 0x17db;

// Takes `digits` hexadecimal digits (at least; at most `most`) and then `end` (0 = the end of the text).
bool Take(std::string_view* text, size_t least, size_t most, char end, uint32_t* value) {
  size_t digits = std::min(text->find_first_not_of("0123456789abcdefABCDEF"), text->size());
  if (digits < least || digits > most) return false;
  std::from_chars(text->data(), text->data() + digits, *value, 16);
  text->remove_prefix(digits);
  if (end == 0) return text->empty();
  if (text->empty() || text->front() != end) return false;
  text->remove_prefix(1);
  return true;
}

// Gigatransfers a second of one lane, by generation.
constexpr std::array<double, 7> kTransferRates = {0, 2.5, 5, 8, 16, 32, 64};

int GenerationOf(const std::string& speed) {
  double rate = 0;
  if (!absl::SimpleAtod(speed.substr(0, speed.find(' ')).c_str(), &rate)) return 0;
  for (size_t generation = 1; generation < kTransferRates.size(); ++generation)
    if (kTransferRates[generation] == rate) return static_cast<int>(generation);
  return 0;
}

int WidthOf(const std::string& text) {
  int width = 0;
  return absl::SimpleAtoi(text.c_str(), &width) && width > 0 && width <= 32 ? width : 0;
}

// 8b/10b up to generation 2, 128b/130b up to 5; 6 sends FLITs of 256 bytes with 242 of packets.
double LaneGbps(int generation) {
  double coding = generation <= 2 ? 0.8 : generation <= 5 ? 128.0 / 130.0 : 242.0 / 256.0;
  return kTransferRates[static_cast<size_t>(generation)] * coding;
}

}  // namespace

std::optional<PciAddress> ParsePciAddress(std::string_view text) {
  PciAddress address;
  if (!Take(&text, 4, 8, ':', &address.domain) || !Take(&text, 2, 2, ':', &address.bus) ||
      !Take(&text, 2, 2, '.', &address.device) || !Take(&text, 1, 1, 0, &address.function))
    return std::nullopt;
  if (address.device > 0x1f || address.function > 7) return std::nullopt;
  return address;
}

std::string FormatPciAddress(const PciAddress& address) {
  return absl::StrFormat("%04x:%02x:%02x.%x", address.domain, address.bus, address.device, address.function);
}

bool IsGpu(const PciId& id) {
  switch (id.pci_class) {
    case 0x0300:  // VGA
      // Server boards of AMD's early years carry such graphics too: ES1000 and Rage XL.
      if (id.vendor == kAmd) return id.device != 0x515e && id.device != 0x4752;
      return id.vendor == kNvidia || id.vendor == kIntel;
    case 0x0302:  // 3D
    case 0x0380:  // display, other
      return id.vendor == kNvidia || id.vendor == kAmd || id.vendor == kIntel;
    case 0x1200:  // processing accelerator
      return id.vendor == kNvidia || id.vendor == kAmd || id.vendor == kHabana;
    default:
      return false;
  }
}

bool IsNetworkClass(const PciId& id) { return id.pci_class >> 8 == 0x02 || id.pci_class == 0x0c06; }

bool IsWifi(const PciId& id, std::string_view netdev) { return id.pci_class == 0x0280 && netdev.starts_with("wl"); }

bool IsOfHypervisor(const PciId& id) {
  switch (id.vendor) {
    case 0x1af4:  // virtio
    case 0x1b36:  // QEMU
    case 0x1234:  // QEMU, Bochs
    case 0x15ad:  // VMware
    case 0x1414:  // Hyper-V
    case 0x5853:  // Xen
    case 0x80ee:  // VirtualBox
    case 0x1ae0:  // Google
      return true;
    default:
      return false;
  }
}

v1::FabricKind FabricOf(const PciId& id) {
  if (id.vendor == kAmazon && (id.device & 0xfff0) == 0xefa0) return v1::FABRIC_KIND_EFA;
  if (id.vendor == kCray && (id.device == 0x0501 || id.device == 0x0502)) return v1::FABRIC_KIND_SLINGSHOT;
  if (id.vendor == kIntel && (id.device == 0x24f0 || id.device == 0x24f1)) return v1::FABRIC_KIND_OMNIPATH;
  if (id.pci_class == 0x0207 || id.pci_class == 0x0c06) return v1::FABRIC_KIND_INFINIBAND;
  return v1::FABRIC_KIND_UNKNOWN;
}

std::string GpuVendorName(uint32_t vendor) {
  switch (vendor) {
    case kNvidia:
      return "NVIDIA";
    case kAmd:
      return "AMD";
    case kIntel:
      return "Intel";
    case kHabana:
      return "Habana";
    default:
      return absl::StrFormat("%04x", vendor);
  }
}

std::string FormatPciId(const PciId& id) { return absl::StrFormat("%04x:%04x", id.vendor, id.device); }

PcieLink ParsePcieLink(const std::string& speed, const std::string& width, const std::string& max_speed,
                       const std::string& max_width) {
  PcieLink link{.generation = GenerationOf(speed),
                .width = WidthOf(width),
                .max_generation = GenerationOf(max_speed),
                .max_width = WidthOf(max_width)};
  link.gbps = LaneGbps(link.generation) * link.width;
  return link;
}

}  // namespace netsense::inventory
