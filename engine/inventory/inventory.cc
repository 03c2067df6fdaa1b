#include "engine/inventory/inventory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "engine/inventory/addresses.h"
#include "engine/inventory/affinity.h"
#include "engine/inventory/hwloc_topology.h"
#include "engine/inventory/hwloc_xml.h"
#include "engine/inventory/nccl_xml.h"
#include "engine/inventory/nvml.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/rails.h"
#include "engine/inventory/roles.h"
#include "engine/inventory/sysfs_pci.h"
#include "engine/inventory/sysfs_reader.h"

namespace netsense::inventory {
namespace {

constexpr std::chrono::minutes kNvmlInterval{10};

bool HasNvidia(const Node& node) {
  return std::any_of(node.gpus.begin(), node.gpus.end(), [](const Gpu& gpu) { return gpu.vendor == "NVIDIA"; });
}

void OrderGpus(Node* node) {
  // NVLinks are told by index: whoever reads them has ordered the GPUs already.
  std::stable_sort(node->gpus.begin(), node->gpus.end(), [](const Gpu& a, const Gpu& b) {
    return ParsePciAddress(a.place.address) < ParsePciAddress(b.place.address);
  });
  for (size_t i = 0; i < node->gpus.size(); ++i) node->gpus[i].name = absl::StrCat("GPU", i);
}

// By PCI address, what has none behind, by name; and every name once.
void OrderPorts(Node* node) {
  std::stable_sort(node->ports.begin(), node->ports.end(), [](const Port& a, const Port& b) {
    auto key = [](const Port& port) {
      return std::tuple(!port.is_nic(), port.place.address.empty(), ParsePciAddress(port.place.address),
                        port.rdma_device.empty(), port.rdma_port, port.name.size(), port.name);
    };
    return key(a) < key(b);
  });
  std::map<std::string, int> seen;
  for (Port& port : node->ports)
    if (int times = ++seen[port.name]; times > 1) port.name = absl::StrCat(port.name, "#", times);
}

void NoteUnprovenRoce(Node* node) {
  std::string names;
  for (const Port& port : node->ports)
    if (!port.rdma_device.empty() && port.fabric == v1::FABRIC_KIND_ETHERNET)
      absl::StrAppend(&names, names.empty() ? "" : ", ", port.name);
  if (!names.empty())
    node->notes.push_back(absl::StrCat("RDMA over an Ethernet link, and no GID's type says that it is RoCE: ", names));
}

enum class Use { kShow, kPlaces };

absl::StatusOr<Node> ReadXml(const std::string& path, Use use) {
  auto file = ReadXmlFile(path);
  if (!file.ok()) return absl::FailedPreconditionError(std::string(file.status().message()));
  const std::string root = file->document->document_element().name();
  absl::StatusOr<Node> node =
      absl::InvalidArgumentError(absl::StrCat("XML of something else: its root is <", root.substr(0, 40),
                                              ">, and a topology's is <topology> (hwloc) or <system> (NCCL)"));
  if (root == "topology") node = ReadHwlocXml(*file);
  if (root == "system") node = ReadNcclXml(*file);
  if (root == "system" && use == Use::kPlaces && NcclHosts(*file) > 1)
    node = absl::InvalidArgumentError(
        "several machines are in it (host_hash), and nothing tells which of them this one is: leave in the file the "
        "<cpu> elements of this one only");
  if (!node.ok()) return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::string(node.status().message())));
  node->source = absl::StrCat(root == "topology" ? "hwloc XML " : "NCCL topology ", path);
  return node;
}

// `places`: of the override; null = there is none.
absl::StatusOr<Node> Finish(const Options& options, const Node* places, Node node) {
  OrderGpus(&node);
  OrderPorts(&node);
  if (places == nullptr) {
    DetectHiddenTopology(&node);
  } else if (auto status = ApplyPlaces(*places, &node); !status.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(options.topology_override, ": ", std::string(status.message())));
  }
  NoteUnknowns(&node);
  NoteUnprovenRoce(&node);
  AssignRoles(&node);
  RETURN_IF_ERROR(AssignRails(options.rails, &node));
  return node;
}

// The processor itself says whether it is a virtual one.
Virtualized AskProcessor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("flags", 0) == 0)
      return (line + " ").find(" hypervisor ") != std::string::npos ? Virtualized::kYes : Virtualized::kNo;
  return Virtualized::kUnknown;
}

void ReadProcessors(Node* node) {
  auto topology = LoadThisMachine();
  if (!topology.ok()) {
    node->notes.push_back(std::string(topology.status().message()));
    return;
  }
  if (hwloc_topology_is_thissystem(topology->get()) == 0)
    node->notes.push_back("processors and memory are of another machine: an HWLOC_ environment variable says so");
  node->numa_nodes = ReadNumaNodes(topology->get());
}

}  // namespace

absl::Status ThisMachine::ReadOverride() {
  std::lock_guard lock(mutex_);
  if (options_.topology_override.empty() || places_) return absl::OkStatus();
  ASSIGN_OR_RETURN(places_, ReadXml(options_.topology_override, Use::kPlaces));
  return absl::OkStatus();
}

absl::StatusOr<Node> ThisMachine::Read() {
  RETURN_IF_ERROR(ReadOverride());
  Node node;
  node.source = "this machine";
  std::array<char, 256> hostname{};
  if (gethostname(hostname.data(), hostname.size() - 1) == 0) node.hostname = ToUtf8(hostname.data());
  ReadProcessors(&node);
  node.virtualized = AskProcessor();
  auto tree = SysfsTree::Open("/sys");
  if (tree.ok() && tree->IsFolder("class/net")) {
    node.ports = ReadSysfsPorts(*tree);
    node.gpus = ReadGpus(*tree);
    if (node.virtualized == Virtualized::kUnknown && ShowsHypervisor(*tree)) node.virtualized = Virtualized::kYes;
  } else {
    node.notes.push_back("no /sys here: only names and addresses of the ports are known, and no GPUs");
  }
  AddAddresses(&node);
  if (HasNvidia(node)) {
    std::lock_guard lock(mutex_);
    if (!nvml_ || MonotonicNow() - nvml_read_at_ > kNvmlInterval) {
      nvml_ = ReadNvml();
      nvml_read_at_ = MonotonicNow();
    }
    AddNvmlFacts(*nvml_, &node);
  }
  return Finish(options_, places_ ? &*places_ : nullptr, std::move(node));
}

absl::StatusOr<Node> ReadFrom(const std::string& path, const Options& options) {
  struct stat info;
  bool folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  absl::StatusOr<Node> node = folder ? ReadSysfsSnapshot(path) : ReadXml(path, Use::kShow);
  if (!node.ok()) return absl::FailedPreconditionError(std::string(node.status().message()));
  if (auto status = CheckSize(*node); !status.ok())
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::string(status.message())));
  if (options.topology_override.empty()) return Finish(options, nullptr, *std::move(node));
  ASSIGN_OR_RETURN(auto places, ReadXml(options.topology_override, Use::kPlaces));
  return Finish(options, &places, *std::move(node));
}

}  // namespace netsense::inventory
