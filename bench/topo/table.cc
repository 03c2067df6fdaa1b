#include "bench/topo/table.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/inventory/affinity.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/nearest.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

using inventory::Affinity;
using inventory::Gpu;
using inventory::Name;
using inventory::Node;
using inventory::Port;

// Names come from files that may hold anything: nothing of them may steer a terminal.
std::string Plain(std::string text) {
  for (char& c : text)
    if (c < 0x20 || c > 0x7e) c = '?';
  return text;
}

constexpr size_t kMostInMatrix = 512;  // devices; nobody reads as many, and it grows with their square

// A row or column of the matrix.
struct Device {
  std::string label;
  const inventory::PciPlace* place;
  const Gpu* gpu = nullptr;
};

// Columns as wide as their widest cell.
std::string Align(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      absl::StrAppend(&line, row[i], std::string(widths[i] - row[i].size() + 2, ' '));
    absl::StrAppend(&text, line.substr(0, line.find_last_not_of(' ') + 1), "\n");
  }
  return text;
}

std::string Cell(const Node& node, const Device& row, const Device& column, std::set<Affinity>* used, bool* nvlink) {
  if (row.label == column.label) return " X";
  if (row.gpu != nullptr && column.gpu != nullptr) {
    auto links = row.gpu->nvlinks.find(static_cast<size_t>(column.gpu - node.gpus.data()));
    if (links != row.gpu->nvlinks.end()) {
      *nvlink = true;
      return absl::StrCat("NV", links->second);
    }
  }
  Affinity affinity = AffinityOf(node, *row.place, *column.place);
  used->insert(affinity);
  return affinity == Affinity::kUnknown ? "?" : Name(affinity);
}

std::string Matrix(const Node& node, const std::vector<Device>& devices) {
  std::vector<std::vector<std::string>> rows(1, {""});
  for (const Device& device : devices) rows[0].push_back(device.label);
  rows[0].insert(rows[0].end(), {"CPU Affinity", "NUMA Affinity"});
  std::set<Affinity> used;
  bool nvlink = false;
  for (const Device& row : devices) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.push_back(row.label);
    for (const Device& column : devices) cells.push_back(Cell(node, row, column, &used, &nvlink));
    const inventory::NumaNode* numa = NumaNodeOf(node, *row.place);
    const int index = numa == nullptr ? row.place->numa_node : numa->index;
    cells.push_back(numa == nullptr || numa->cpus.empty() ? "?" : inventory::CpuList(numa->cpus));
    cells.push_back(index < 0 ? "?" : std::to_string(index));
  }
  std::string text = Align(rows) + "\nLegend:\n  X    = itself\n";
  for (auto affinity = used.rbegin(); affinity != used.rend(); ++affinity)
    absl::StrAppendFormat(&text, "  %-4s = %s\n", *affinity == Affinity::kUnknown ? "?" : Name(*affinity),
                          Meaning(*affinity));
  if (nvlink) absl::StrAppend(&text, "  NV#  = # NVLinks between them\n");
  return text;
}

std::string PortLine(const Port& port) {
  std::vector<std::string> parts;
  if (port.netdev != port.name && !port.netdev.empty()) parts.push_back(Plain(port.netdev));
  parts.push_back(FabricTitle(port.fabric));
  if (std::string speed = SpeedText(port); !speed.empty()) parts.push_back(speed);
  if (port.state != v1::PORT_STATE_UNKNOWN) parts.push_back(PortStateName(port.state));
  if (!port.place.address.empty() && port.place.address != port.name) parts.push_back(Plain(port.place.address));
  if (!port.bond_members.empty()) parts.push_back(Plain("bond of " + absl::StrJoin(port.bond_members, " ")));
  if (!port.addresses.empty()) parts.push_back(port.addresses.front());
  const std::string rail = port.rail ? absl::StrCat(", rail ", *port.rail) : "";
  return absl::StrFormat("%s (%s)  %s%s: %s", Plain(port.name), absl::StrJoin(parts, ", "),
                         port.role == v1::PORT_ROLE_UNKNOWN ? "no role" : PortRoleName(port.role), rail,
                         Plain(port.role_reason));
}

std::string NearestLines(const Node& node) {
  if (ShownPorts(node).empty()) return "\nNearest NIC: none: no network adapter is known on this machine\n";
  std::string text = "\nNearest NIC:\n";
  for (const Gpu& gpu : node.gpus) {
    inventory::Nearest nearest = NearestPort(node, gpu);
    if (nearest.ports.empty()) {
      absl::StrAppend(&text, "  ", gpu.name, ": none: ", nearest.reason, "\n");
      continue;
    }
    const Port& port = node.ports[nearest.ports.front()];
    absl::StrAppend(&text, "  ", gpu.name, ": ", Plain(port.name), ", ", Name(nearest.affinity),
                    port.rail ? absl::StrCat(", rail ", *port.rail) : "",
                    port.state == v1::PORT_STATE_DOWN ? ", down" : "");
    auto name = [&](std::string* out, size_t i) { absl::StrAppend(out, Plain(node.ports[i].name)); };
    if (nearest.ports.size() > 1)
      absl::StrAppend(&text, " (as near: ", absl::StrJoin(nearest.ports.begin() + 1, nearest.ports.end(), ", ", name),
                      ")");
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string RailLines(const Node& node) {
  std::vector<const Port*> rails;
  for (const Port& port : node.ports)
    if (port.rail) rails.push_back(&port);
  if (rails.empty()) return "\nRails: none\n";
  std::sort(rails.begin(), rails.end(), [](const Port* a, const Port* b) { return *a->rail < *b->rail; });
  auto line = [](std::string* out, const Port* port) { absl::StrAppend(out, *port->rail, " ", Plain(port->name)); };
  return absl::StrCat("\nRails (", rails.front()->rail_reason, "): ", absl::StrJoin(rails, ", ", line), "\n");
}

}  // namespace

std::vector<size_t> ShownPorts(const Node& node) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < node.ports.size(); ++i)
    if (node.ports[i].is_shown()) shown.push_back(i);
  return shown;
}

std::string SpeedText(const Port& port) {
  return port.speed_bps == 0 ? "" : absl::StrFormat("%g Gb/s", static_cast<double>(port.speed_bps) / 1e9);
}

std::string TopologyTable(const Node& node) {
  const std::vector<size_t> shown = ShownPorts(node);
  std::vector<Device> devices;
  for (const Gpu& gpu : node.gpus) devices.push_back({gpu.name, &gpu.place, &gpu});
  for (size_t i = 0; i < shown.size(); ++i) devices.push_back({absl::StrCat("NIC", i), &node.ports[shown[i]].place});
  std::string text = devices.empty()                   ? "No GPU and no network adapter is known.\n"
                     : devices.size() <= kMostInMatrix ? Matrix(node, devices)
                                                       : absl::StrCat("What is near to what of ", devices.size(),
                                                                      " devices is no table to read: see --json\n");
  if (!node.gpus.empty()) {
    absl::StrAppend(&text, "\nGPU Legend:\n");
    for (const Gpu& gpu : node.gpus)
      absl::StrAppend(&text, "  ", gpu.name, ": ",
                      Plain(gpu.model.empty() ? "model not known" : absl::StrCat(gpu.vendor, " ", gpu.model)), ", ",
                      gpu.place.address,
                      gpu.nvlink_domain.empty() ? "" : absl::StrCat(", NVLink domain ", gpu.nvlink_domain), "\n");
  }
  if (!shown.empty()) {
    absl::StrAppend(&text, "\nNIC Legend:\n");
    for (size_t i = 0; i < shown.size(); ++i)
      absl::StrAppend(&text, "  NIC", i, ": ", PortLine(node.ports[shown[i]]), "\n");
  }
  if (!node.gpus.empty()) text += NearestLines(node);
  text += RailLines(node);
  if (!node.notes.empty()) text += "\nNotes:\n";
  for (const std::string& note : node.notes) absl::StrAppend(&text, "  ", Plain(note), "\n");
  return text;
}

}  // namespace netsense
