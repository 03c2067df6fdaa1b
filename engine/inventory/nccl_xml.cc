#include "engine/inventory/nccl_xml.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "engine/inventory/pci.h"

namespace netsense::inventory {
namespace {

constexpr size_t kMaxMaskDigits = 4096;
constexpr int kMaxNumaNodes = 1024;  // as the kernel's own limit

// "0000ffff,ffffffff": groups of 32 processors, the highest first.
std::vector<int> ParseMask(const std::string& mask) {
  std::vector<int> cpus;
  int cpu = 0;
  if (mask.size() > kMaxMaskDigits) return cpus;
  for (auto digit = mask.rbegin(); digit != mask.rend(); ++digit) {
    if (*digit == ',') continue;
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(*digit))) return {};
    int value = absl::ascii_isdigit(static_cast<unsigned char>(*digit)) ? *digit - '0' : (*digit | 0x20) - 'a' + 10;
    for (int bit = 0; bit < 4; ++bit)
      if (value & (1 << bit)) cpus.push_back(cpu + bit);
    cpu += 4;
  }
  return cpus;
}

// Files written by hand may leave the vendor out: 0 or 0xffff.
bool IsGpuElement(const pugi::xml_node& pci, const PciId& id) {
  bool no_vendor = id.vendor == 0 || id.vendor == 0xffff;
  return IsGpu(id) || pci.child("gpu") ||
         (no_vendor && (id.pci_class == 0x0300 || id.pci_class == 0x0302 || id.pci_class == 0x1200));
}

PciId IdOf(const pugi::xml_node& pci) {
  return {.pci_class = pci.attribute("class").as_uint() >> 8,
          .vendor = pci.attribute("vendor").as_uint(),
          .device = pci.attribute("device").as_uint()};
}

// Builds one node; walks the elements from the CPUs down.
class Reader {
 public:
  absl::StatusOr<Node> Read(const pugi::xml_node& system) {
    const std::set<std::string> hosts = HostsOf(system);
    const std::string host = system.child("cpu").attribute("host_hash").value();
    std::vector<pugi::xml_node> cpus;
    for (pugi::xml_node cpu : system.children("cpu"))
      if (hosts.size() < 2 || cpu.attribute("host_hash").value() == host) cpus.push_back(cpu);
    for (pugi::xml_node cpu : cpus) {
      int numa = std::max(cpu.attribute("numaid").as_int(-1), -1);
      if (numa >= kMaxNumaNodes) return absl::InvalidArgumentError(absl::StrCat("numaid ", numa, " is no machine's"));
      // Without a number, there is a node only where there can be no other.
      if ((numa >= 0 || cpus.size() == 1) && FindNumaNode(node_, numa) == nullptr) {
        NumaNode& added = node_.numa_nodes.emplace_back();
        added.index = numa;
        added.cpus = ParseMask(cpu.attribute("affinity").value());
      }
      PciPlace place;
      place.numa_node = numa;
      for (pugi::xml_node child : cpu.children()) RETURN_IF_ERROR(ReadElement(child, place));
    }
    std::sort(node_.numa_nodes.begin(), node_.numa_nodes.end(),
              [](const NumaNode& a, const NumaNode& b) { return a.index < b.index; });
    JoinNvlinks();
    node_.virtualized = Virtualized::kNo;  // it is written to say what a hypervisor hides
    if (hosts.size() > 1)
      node_.notes.push_back(absl::StrCat("the file has ", hosts.size(),
                                         " machines in it, as NCCL writes it where NVLink joins them: only the first "
                                         "is shown, host_hash ",
                                         host));
    if (nameless_ > 0)
      node_.notes.push_back(absl::StrCat(nameless_, " nets without a name and without a PCI address are left out"));
    if (!classless_.empty())
      node_.notes.push_back(absl::StrCat("what the PCI functions without a class in the file are is not known (",
                                         classless_.size(), ", the first ", classless_.front(),
                                         "); as --topology-override it places devices of their addresses"));
    node_.notes.push_back(
        "NCCL's format does not tell host bridges: devices of one NUMA node that share no PCIe bridge are shown as "
        "NODE, and may be PHB");
    return std::move(node_);
  }

  static std::set<std::string> HostsOf(const pugi::xml_node& system) {
    std::set<std::string> hosts;
    for (pugi::xml_node cpu : system.children("cpu")) hosts.insert(cpu.attribute("host_hash").value());
    return hosts;
  }

 private:
  absl::Status ReadElement(const pugi::xml_node& element, PciPlace above) {
    const std::string kind = element.name();
    if (kind == "nic") {
      for (pugi::xml_node net : element.children("net")) AddNet(net, above, {}, {});
      return CheckSize(node_);
    }
    if (kind != "pci") return absl::OkStatus();
    auto address = ParsePciAddress(element.attribute("busid").value());
    if (!address)
      return absl::InvalidArgumentError(
          absl::StrCat("busid '", element.attribute("busid").value(), "' is no PCI address (0000:3b:00.0)"));
    PciPlace place = std::move(above);
    place.address = FormatPciAddress(*address);
    // The host bridge is not told: each tree under a CPU stands for one of its own.
    if (place.path.empty()) place.path.push_back("root of " + place.address);
    place.path.push_back(place.address);
    const PciId id = IdOf(element);
    const bool bridge = id.pci_class >> 8 == 0x06;
    // Files written by hand may leave the class out: what has functions behind it is a bridge, whatever else it is.
    for (pugi::xml_node child : element.children())
      if (bridge || std::string_view(child.name()) == "pci") RETURN_IF_ERROR(ReadElement(child, place));
    if (bridge) return absl::OkStatus();
    if (!seen_.insert(place.address).second)
      return absl::InvalidArgumentError(absl::StrCat(place.address, " stands there twice: one machine has it once"));
    if (IsGpuElement(element, id)) {
      AddGpu(element, place, id);
    } else if (IsNetworkClass(id) || element.child("nic")) {
      AddNic(element, place, id);
    } else if (!element.child("pci")) {
      if (!element.attribute("class")) classless_.push_back(place.address);
      node_.functions.push_back(std::move(place));
    }
    return CheckSize(node_);
  }

  static PcieLink LinkOf(const pugi::xml_node& pci) {
    return ParsePcieLink(pci.attribute("link_speed").value(), pci.attribute("link_width").value(), "", "");
  }

  void AddGpu(const pugi::xml_node& pci, const PciPlace& place, const PciId& id) {
    Gpu gpu;
    gpu.place = place;
    gpu.vendor = id.vendor == 0 ? "" : GpuVendorName(id.vendor);
    gpu.model = id.vendor == 0 ? "" : FormatPciId(id);
    gpu.pcie = LinkOf(pci);
    std::vector<Link> links;
    for (pugi::xml_node link : pci.child("gpu").children("nvlink"))
      links.push_back({absl::AsciiStrToLower(link.attribute("target").value()),
                       std::clamp(link.attribute("count").as_int(), 0, 1024),
                       link.attribute("tclass").as_uint() >> 16 == 0x06});
    links_[place.address] = std::move(links);
    node_.gpus.push_back(std::move(gpu));
  }

  void AddNic(const pugi::xml_node& pci, const PciPlace& place, const PciId& id) {
    Port port;
    port.place = place;
    port.bus = Bus::kPci;
    port.pcie = LinkOf(pci);
    port.fabric = FabricOf(id);
    if (id.vendor != 0) port.model = FormatPciId(id);
    const pugi::xml_node nic = pci.child("nic");
    if (!nic.child("net")) {
      port.name = PortName(port, false);
      node_.ports.push_back(std::move(port));
      return;
    }
    for (pugi::xml_node net : nic.children("net")) AddNet(net, place, id, port);
  }

  // NCCL's sockets have port 0 (and the device's number as GUID), RDMA devices count theirs from 1. Without a port the
  // GUID tells.
  void AddNet(const pugi::xml_node& net, const PciPlace& place, const PciId& id, Port port) {
    port.place = place;
    const std::string name = net.attribute("name").value();
    const pugi::xml_attribute number = net.attribute("port");
    if (number ? number.as_int() > 0 : net.attribute("guid").as_ullong() != 0) {
      port.rdma_device = name;
      port.rdma_port = std::max(number.as_int(1), 1);
    } else {
      port.netdev = name;
      if (IsWifi(id, name)) port.fabric = v1::FABRIC_KIND_WIFI;
    }
    const double megabits = static_cast<double>(net.attribute("speed").as_llong());
    port.speed_bps = PlausibleRate(megabits * 1e6);
    port.name = PortName(port, port.rdma_port > 1);
    if (port.name.empty()) {
      ++nameless_;
      return;
    }
    if (megabits > 0 && port.speed_bps == 0)
      node_.notes.push_back(absl::StrCat("the file gives ", port.name, " ", megabits / 1000,
                                         " Gb/s, which no port carries: its speed is not known"));
    node_.ports.push_back(std::move(port));
  }

  // Straight links count as they are; through switches, every GPU reaches every other by as many as the poorer has.
  void JoinNvlinks() {
    std::sort(node_.gpus.begin(), node_.gpus.end(), [](const Gpu& a, const Gpu& b) {
      return ParsePciAddress(a.place.address) < ParsePciAddress(b.place.address);
    });
    std::map<std::string, size_t> index;  // in node_.gpus, by address
    std::vector<int> switched(node_.gpus.size());
    for (size_t i = 0; i < node_.gpus.size(); ++i) index[node_.gpus[i].place.address] = i;
    for (size_t i = 0; i < node_.gpus.size(); ++i)
      for (const Link& link : links_[node_.gpus[i].place.address]) {
        if (link.to_switch) switched[i] += link.count;
        auto other = index.find(link.target);
        if (other != index.end() && other->second != i && link.count > 0)
          node_.gpus[i].nvlinks[other->second] += link.count;
      }
    for (size_t i = 0; i < node_.gpus.size(); ++i)
      for (size_t j = 0; j < node_.gpus.size(); ++j)
        if (int count = std::min(switched[i], switched[j]); i != j && count > 0) node_.gpus[i].nvlinks[j] += count;
  }

  struct Link {
    std::string target;
    int count;
    bool to_switch;
  };

  Node node_;
  std::set<std::string> seen_;                      // addresses, but bridges'
  std::vector<std::string> classless_;              // addresses
  size_t nameless_ = 0;                             // nets
  std::map<std::string, std::vector<Link>> links_;  // by the GPU's address
};

}  // namespace

absl::StatusOr<Node> ReadNcclXml(const XmlFile& file) {
  const pugi::xml_node system = file.document->child("system");
  if (!system.child("cpu")) return absl::InvalidArgumentError("NCCL topology without a <cpu>: nothing is in it");
  return Reader().Read(system);
}

size_t NcclHosts(const XmlFile& file) { return Reader::HostsOf(file.document->child("system")).size(); }

absl::Status ApplyPlaces(const Node& file, Node* node) {
  std::map<std::string, const PciPlace*> places;
  for (const PciPlace& place : file.functions) places[place.address] = &place;
  for (const Gpu& gpu : file.gpus) places[gpu.place.address] = &gpu.place;
  for (const Port& port : file.ports) places[port.place.address] = &port.place;
  size_t matched = 0, all = 0;
  auto apply = [&](PciPlace* place) {
    if (place->address.empty()) return;
    ++all;
    auto found = places.find(place->address);
    if (found == places.end()) {
      place->path.clear();
      place->numa_node = -1;
    } else {
      *place = *found->second;
      ++matched;
    }
  };
  for (Gpu& gpu : node->gpus) apply(&gpu.place);
  for (Port& port : node->ports) apply(&port.place);
  if (matched == 0)
    return absl::FailedPreconditionError(
        "the topology file has none of this machine's PCI addresses: it is another machine's");
  node->notes.push_back(absl::StrCat("places of ", matched, " of ", all, " GPUs and ports are from the topology file"));
  return absl::OkStatus();
}

}  // namespace netsense::inventory
