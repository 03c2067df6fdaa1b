#include "engine/inventory/sysfs_pci.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace netsense::inventory {
namespace {

// "pci0000:3a", the name of a host bridge.
bool IsHostBridge(const std::string& component) {
  return component.rfind("pci", 0) == 0 && ParsePciAddress(component.substr(3) + ":00.0").has_value();
}

// "usb1", "virtio2".
bool IsNumbered(const std::string& component, const std::string& stem) {
  return component.size() > stem.size() && component.rfind(stem, 0) == 0 &&
         component.find_first_not_of("0123456789", stem.size()) == std::string::npos;
}

uint32_t ReadHex(const SysfsTree& tree, const std::string& path) {
  return static_cast<uint32_t>(tree.ReadInteger(path).value_or(0));
}

// The attributes of the PCI function in `folder`.
void ReadFunction(const SysfsTree& tree, const std::string& folder, SysfsDevice* device) {
  device->id = {.pci_class = ReadHex(tree, folder + "/class") >> 8,
                .vendor = ReadHex(tree, folder + "/vendor"),
                .device = ReadHex(tree, folder + "/device")};
  device->place.numa_node =
      static_cast<int>(std::max<int64_t>(tree.ReadInteger(folder + "/numa_node").value_or(-1), -1));
  device->pcie = ParsePcieLink(tree.ReadOr(folder + "/current_link_speed"), tree.ReadOr(folder + "/current_link_width"),
                               tree.ReadOr(folder + "/max_link_speed"), tree.ReadOr(folder + "/max_link_width"));
  device->virtual_function = tree.Resolve(folder + "/physfn").has_value();
  if (auto driver = tree.Resolve(folder + "/driver")) device->driver = driver->substr(driver->rfind('/') + 1);
}

// Where the links are gone, uevent still names address and driver.
void ReadUevent(const SysfsTree& tree, const std::string& folder, SysfsDevice* device) {
  for (absl::string_view line : absl::StrSplit(tree.ReadOr(folder + "/uevent"), '\n')) {
    if (absl::ConsumePrefix(&line, "PCI_SLOT_NAME=")) {
      auto address = ParsePciAddress(std::string(line));
      if (address && device->place.address.empty()) device->place.address = FormatPciAddress(*address);
    } else if (absl::ConsumePrefix(&line, "DRIVER=") && device->driver.empty()) {
      device->driver = std::string(line);
    }
  }
}

}  // namespace

SysfsDevice ReadDevice(const SysfsTree& tree, const std::string& folder) {
  SysfsDevice device;
  auto real = tree.Resolve(folder);
  if (!real) return device;
  std::string walked, function;  // so far; the folder of the innermost PCI function
  for (absl::string_view component_view : absl::StrSplit(*real, '/')) {
    std::string component(component_view);
    absl::StrAppend(&walked, walked.empty() ? "" : "/", component);
    if (walked == "devices/virtual") device.bus = Bus::kVirtual;
    if (device.place.path.empty()) {
      if (IsHostBridge(component)) device.place.path.push_back(component);
    } else if (auto address = ParsePciAddress(component)) {
      device.bus = Bus::kPci;
      device.place.address = FormatPciAddress(*address);
      device.place.path.push_back(device.place.address);
      function = walked;
    } else if (IsNumbered(component, "virtio")) {
      device.bus = Bus::kVirtio;
    } else if (IsNumbered(component, "usb")) {
      device.bus = Bus::kUsb;
    }
  }
  if (!function.empty()) {
    ReadFunction(tree, function, &device);
  } else {
    device.place.path.clear();
    auto own = ParsePciAddress(folder.substr(folder.rfind('/') + 1));
    function = own ? folder : folder + "/device";
    if (own) device.place.address = FormatPciAddress(*own);
    ReadFunction(tree, function, &device);
    ReadUevent(tree, function, &device);
    if (!device.place.address.empty()) device.bus = Bus::kPci;
  }
  // A USB adapter sits near its controller, but the controller's address is not its own.
  if (device.bus == Bus::kUsb) {
    device.place.address.clear();
    device.place.path.clear();
    device.pcie = {};
  }
  return device;
}

std::vector<Gpu> ReadGpus(const SysfsTree& tree) {
  std::vector<Gpu> gpus;
  for (const std::string& name : tree.List("bus/pci/devices")) {
    if (!ParsePciAddress(name)) continue;
    SysfsDevice device = ReadDevice(tree, "bus/pci/devices/" + name);
    if (!IsGpu(device.id) || device.virtual_function) continue;
    Gpu gpu;
    gpu.vendor = GpuVendorName(device.id.vendor);
    gpu.model = FormatPciId(device.id);
    gpu.place = device.place;
    gpu.pcie = device.pcie;
    gpus.push_back(std::move(gpu));
  }
  return gpus;
}

bool IsHypervisorName(const std::string& vendor, const std::string& product) {
  for (const char* name : {"QEMU", "KVM", "VMware", "VirtualBox", "innotek", "Xen", "Bochs", "Parallels", "BHYVE",
                           "OpenStack", "KubeVirt", "Apple Virtualization", "Google Compute Engine", "Firecracker"})
    if (absl::StrContains(vendor, name) || absl::StrContains(product, name)) return true;
  // Amazon's and Microsoft's names stand on real machines too.
  return (vendor == "Microsoft Corporation" && product == "Virtual Machine") ||
         (vendor == "Amazon EC2" && !product.empty() && !absl::StrContains(product, "metal"));
}

bool ShowsHypervisor(const SysfsTree& tree) {
  if (IsHypervisorName(tree.ReadOr("class/dmi/id/sys_vendor"), tree.ReadOr("class/dmi/id/product_name"))) return true;
  const std::vector<std::string> functions = tree.List("bus/pci/devices");
  return std::any_of(functions.begin(), functions.end(), [&](const std::string& name) {
    const std::string folder = "bus/pci/devices/" + name;
    return IsOfHypervisor({.pci_class = ReadHex(tree, folder + "/class") >> 8,
                           .vendor = ReadHex(tree, folder + "/vendor"),
                           .device = ReadHex(tree, folder + "/device")});
  });
}

}  // namespace netsense::inventory
