#include "bench/topo/drawing.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bench/topo/svg.h"
#include "bench/topo/table.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/nearest.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

using inventory::Gpu;
using inventory::Name;
using inventory::Node;
using inventory::Port;

constexpr double kCardWidth = 190, kCardHeight = 78, kPad = 10, kHeader = 22, kBoxWidth = 890, kMargin = 24;
constexpr double kMinWidth = 700;

// Okabe and Ito's colours.
constexpr std::array<const char*, 8> kRailColours = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                                     "#56b4e9", "#d55e00", "#f0e442", "#222222"};

const char* ColourOf(const Port& port) {
  if (port.rail) return kRailColours[*port.rail % kRailColours.size()];
  return "#b0b0b0";
}

// A frame with GPUs and ports in it, and frames.
struct Box {
  std::string title;
  bool known = true;  // whether things stand here because they are here
  std::vector<size_t> gpus, ports;
  std::vector<Box> inner;
  double width = 0, height = 0;

  size_t devices() const {
    size_t count = gpus.size() + ports.size();
    for (const Box& box : inner) count += box.devices();
    return count;
  }
};

// PCI bridges as a tree, by the paths of the devices.
struct Bridge {
  std::map<std::string, Bridge> below;
  std::vector<size_t> gpus, ports;
};

Bridge* Descend(Bridge* root, const inventory::PciPlace& place) {
  for (size_t i = 0; i + 1 < place.path.size(); ++i) root = &root->below[place.path[i]];
  return root;
}

// Frames only where several things share one: chains of bridges become one, a bridge of one device none.
void AddBridge(const std::string& name, const Bridge& bridge, Box* into) {
  if (bridge.gpus.empty() && bridge.ports.empty() && bridge.below.size() == 1) {
    const auto& [only_name, only] = *bridge.below.begin();
    AddBridge(only_name, only, into);
    return;
  }
  Box box;
  box.title = name.rfind("pci", 0) == 0 ? "host bridge " + name : "PCIe bridge " + name;
  box.gpus = bridge.gpus;
  box.ports = bridge.ports;
  for (const auto& [below_name, below] : bridge.below) AddBridge(below_name, below, &box);
  if (box.devices() > 1) {
    into->inner.push_back(std::move(box));
    return;
  }
  into->gpus.insert(into->gpus.end(), box.gpus.begin(), box.gpus.end());
  into->ports.insert(into->ports.end(), box.ports.begin(), box.ports.end());
}

std::string NumaTitle(const inventory::NumaNode& numa) {
  std::string title = numa.index < 0 ? "the only NUMA node" : absl::StrCat("NUMA node ", numa.index);
  if (numa.package >= 0) absl::StrAppend(&title, ", package ", numa.package);
  if (!numa.cpus.empty()) absl::StrAppend(&title, ", CPUs ", inventory::CpuList(numa.cpus));
  if (numa.memory_bytes > 0)
    absl::StrAppendFormat(&title, ", %.0f GiB", static_cast<double>(numa.memory_bytes) / (1 << 30));
  return title;
}

std::vector<Box> MakeBoxes(const Node& node, const std::vector<size_t>& shown) {
  std::map<int, Bridge> trees;  // by NUMA node; -1: not known
  for (const inventory::NumaNode& numa : node.numa_nodes) trees[numa.index];
  auto numa_of = [&](const inventory::PciPlace& place) {
    if (node.topology_hidden) return -1;
    const inventory::NumaNode* numa = NumaNodeOf(node, place);
    return numa == nullptr ? place.numa_node : numa->index;
  };
  auto bridge_of = [&](const inventory::PciPlace& place) {
    Bridge* root = &trees[numa_of(place)];
    return node.topology_hidden ? root : Descend(root, place);
  };
  for (size_t i = 0; i < node.gpus.size(); ++i) bridge_of(node.gpus[i].place)->gpus.push_back(i);
  for (size_t i : shown) bridge_of(node.ports[i].place)->ports.push_back(i);

  std::vector<Box> boxes;
  for (const auto& [index, tree] : trees) {
    Box box;
    const inventory::NumaNode* numa = FindNumaNode(node, index);
    box.known = index >= 0 || numa != nullptr;
    box.title = numa != nullptr        ? NumaTitle(*numa)
                : index >= 0           ? absl::StrCat("NUMA node ", index)
                : node.topology_hidden ? "where these are is hidden by the hypervisor"
                                       : "on no NUMA node that is known";
    box.gpus = tree.gpus;
    box.ports = tree.ports;
    for (const auto& [name, bridge] : tree.below) AddBridge(name, bridge, &box);
    boxes.push_back(std::move(box));
  }
  // What has no place stands last.
  std::stable_partition(boxes.begin(), boxes.end(), [](const Box& box) { return box.known; });
  return boxes;
}

size_t CardsInRow(double width) {
  return std::max<size_t>(1, static_cast<size_t>((width - kPad) / (kCardWidth + kPad)));
}

// Cards in rows: the GPUs', then the NICs'; below them the frames, side by side as far as there is room.
double CardRowsHeight(size_t cards, size_t in_row) {
  return static_cast<double>((cards + in_row - 1) / in_row) * (kCardHeight + kPad);
}

void Measure(Box* box, double max_width) {
  const size_t in_row = CardsInRow(max_width);
  const size_t widest = std::max({std::min(box->gpus.size(), in_row), std::min(box->ports.size(), in_row), size_t{1}});
  box->width = kPad + static_cast<double>(widest) * (kCardWidth + kPad);
  box->height = kHeader + kPad + CardRowsHeight(box->gpus.size(), in_row) + CardRowsHeight(box->ports.size(), in_row);
  double x = kPad, row_height = 0;
  for (Box& inner : box->inner) {
    Measure(&inner, max_width - 2 * kPad);
    if (x > kPad && x + inner.width + kPad > max_width) {
      box->height += row_height + kPad;
      x = kPad;
      row_height = 0;
    }
    x += inner.width + kPad;
    row_height = std::max(row_height, inner.height);
    box->width = std::max(box->width, x);
  }
  if (!box->inner.empty()) box->height += row_height + kPad;
}

class Painter {
 public:
  Painter(const Node& node, Svg* svg) : node_(node), svg_(svg) {}

  void Draw(const Box& box, double x, double y, double max_width, bool outer) {
    svg_->OpenGroup(box.title);
    svg_->Rect(x, y, box.width, box.height,
               {.fill = outer ? "#f4f6f8" : "#ffffff", .stroke = "#8a94a0", .corner = 6, .dashed = !box.known});
    svg_->Text(x + kPad, y + 16, box.title, {.size = outer ? 12.0 : 10.0, .fill = "#3c4650", .bold = outer},
               box.width - 2 * kPad);
    svg_->CloseGroup();
    const size_t in_row = CardsInRow(max_width);
    double below = y + kHeader + kPad;
    for (size_t i = 0; i < box.gpus.size(); ++i)
      DrawGpu(node_.gpus[box.gpus[i]], x + CardX(i % in_row), below + CardY(i / in_row));
    below += CardRowsHeight(box.gpus.size(), in_row);
    for (size_t i = 0; i < box.ports.size(); ++i)
      DrawPort(node_.ports[box.ports[i]], x + CardX(i % in_row), below + CardY(i / in_row));
    below += CardRowsHeight(box.ports.size(), in_row);
    double inner_x = x + kPad, row_height = 0;
    for (const Box& inner : box.inner) {
      if (inner_x > x + kPad && inner_x - x + inner.width + kPad > max_width) {
        below += row_height + kPad;
        inner_x = x + kPad;
        row_height = 0;
      }
      Draw(inner, inner_x, below, max_width - 2 * kPad, false);
      inner_x += inner.width + kPad;
      row_height = std::max(row_height, inner.height);
    }
  }

 private:
  static double CardX(size_t column) { return kPad + static_cast<double>(column) * (kCardWidth + kPad); }
  static double CardY(size_t row) { return static_cast<double>(row) * (kCardHeight + kPad); }

  void Lines(double x, double y, const std::vector<std::string>& lines) {
    for (size_t i = 1; i < lines.size(); ++i)
      svg_->Text(x, y + 18 + 15 * static_cast<double>(i), lines[i], {.size = 10, .fill = "#4a4a4a"}, kCardWidth - 24);
  }

  void DrawGpu(const Gpu& gpu, double x, double y) {
    inventory::Nearest nearest = NearestPort(node_, gpu);
    const Port* port = nearest.ports.empty() ? nullptr : &node_.ports[nearest.ports.front()];
    svg_->OpenGroup(absl::StrCat(gpu.name, ": ", gpu.vendor, " ", gpu.model, ", ", gpu.place.address));
    svg_->Rect(x, y, kCardWidth, kCardHeight, {.fill = "#e4e8ec", .stroke = "#5a646e", .corner = 4});
    svg_->Text(x + 12, y + 18, gpu.name, {.size = 12, .bold = true});
    Lines(x + 12, y,
          {gpu.name, gpu.model.empty() ? "model not known" : gpu.model, gpu.place.address,
           port == nullptr ? "no nearest NIC is known"
                           : absl::StrCat("nearest ", port->name, " (", Name(nearest.affinity), ")")});
    if (port != nullptr && port->rail)
      svg_->Rect(x + kCardWidth - 18, y + kCardHeight - 18, 10, 10, {.fill = ColourOf(*port), .stroke = "#222222"});
    svg_->CloseGroup();
  }

  void DrawPort(const Port& port, double x, double y) {
    svg_->OpenGroup(absl::StrCat(port.name, ": ", port.role_reason));
    svg_->Rect(x, y, kCardWidth, kCardHeight, {.fill = "#ffffff", .stroke = "#5a646e", .corner = 4});
    svg_->Rect(x, y, 9, kCardHeight, {.fill = ColourOf(port), .stroke = "#5a646e"});
    svg_->Text(x + 14, y + 18, port.name, {.size = 12, .bold = true}, kCardWidth - 24);
    const std::string speed = SpeedText(port);
    const std::string link = port.pcie.width > 0 ? absl::StrFormat("PCIe %d x%d", port.pcie.generation, port.pcie.width)
                             : port.pcie.gbps > 0 ? absl::StrFormat("PCIe %.0f Gb/s", port.pcie.gbps)
                                                  : "";
    Lines(x + 14, y,
          {port.name, absl::StrCat(FabricTitle(port.fabric), speed.empty() ? ", speed not known" : ", " + speed),
           absl::StrCat(port.place.address, port.place.address.empty() || link.empty() ? "" : ", ", link),
           absl::StrCat(port.role == v1::PORT_ROLE_UNKNOWN ? "no role" : PortRoleName(port.role),
                        port.rail ? absl::StrCat(", rail ", *port.rail) : "",
                        port.state == v1::PORT_STATE_DOWN ? ", down" : "")});
    svg_->CloseGroup();
  }

  const Node& node_;
  Svg* svg_;
};

std::string Count(size_t number, const std::string& what) {
  return absl::StrCat(number, " ", what, number == 1 ? "" : "s");
}

// Words in lines of at most `width`.
std::vector<std::string> Wrap(const std::string& text, double width, double size) {
  std::vector<std::string> lines(1);
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    std::string longer = absl::StrCat(lines.back(), lines.back().empty() ? "" : " ", word);
    if (!lines.back().empty() && Svg::TextWidth(longer, size) > width) {
      lines.emplace_back(word);
    } else {
      lines.back() = std::move(longer);
    }
  }
  return lines;
}

}  // namespace

std::string TopologySvg(const Node& node) {
  const std::vector<size_t> shown = ShownPorts(node);
  std::vector<Box> boxes = MakeBoxes(node, shown);
  Svg svg;
  Painter painter(node, &svg);
  const std::string title = node.hostname.empty() ? node.source : node.hostname;
  size_t rails = static_cast<size_t>(
      std::count_if(node.ports.begin(), node.ports.end(), [](const Port& port) { return port.rail.has_value(); }));
  svg.Text(kMargin, 32, title, {.size = 18, .bold = true});
  const std::vector<std::string> counts = {Count(node.gpus.size(), "GPU"), Count(shown.size(), "NIC port"),
                                           Count(rails, "rail"), Count(node.numa_nodes.size(), "NUMA node")};
  svg.Text(kMargin, 52, absl::StrJoin(counts, ", "), {.size = 12, .fill = "#4a4a4a"});

  // NUMA nodes two to a row.
  double x = kMargin, y = 70, row_height = 0, width = kMinWidth;
  for (size_t i = 0; i < boxes.size(); ++i) {
    Measure(&boxes[i], kBoxWidth);
    boxes[i].width = std::max(boxes[i].width, 2 * (kCardWidth + kPad) + kPad);
    if (i > 0 && i % 2 == 0) {
      y += row_height + kMargin;
      x = kMargin;
      row_height = 0;
    }
    painter.Draw(boxes[i], x, y, kBoxWidth, true);
    x += boxes[i].width + kMargin;
    row_height = std::max(row_height, boxes[i].height);
    width = std::max(width, x);
  }
  y += row_height + kMargin;
  for (const std::string& note : node.notes)
    for (const std::string& line : Wrap(note, width - 2 * kMargin, 11)) {
      svg.Text(kMargin, y + 8, line, {.size = 11, .fill = "#4a4a4a"});
      y += 16;
    }
  return svg.Finish(width, y + kMargin, "Topology of " + title);
}

}  // namespace netsense
