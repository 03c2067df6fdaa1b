#include "raylet_bridge/cluster/rail_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "proto/enum_names.h"

namespace netsense {
namespace {

struct Trait {
  const char* name;
  std::string (*of)(const v1::Port& port);
};
const Trait kTraits[] = {
    {"fabric", [](const v1::Port& port) { return FabricName(port.fabric()); }},
    {"link rate",
     [](const v1::Port& port) {
       return port.speed_bps() == 0 ? std::string()
                                    : fmt::format("{:g} Gb/s", static_cast<double>(port.speed_bps()) / 1e9);
     }},
    {"PCI address", [](const v1::Port& port) { return port.pci_address(); }},
};

// What more than half of them have; empty when there is no such value.
std::string Usual(const std::vector<std::string>& values) {
  std::map<std::string, size_t> counts;
  for (const std::string& value : values) ++counts[value];
  for (const auto& [value, count] : counts)
    if (2 * count > values.size()) return value;
  return "";
}

void CheckRail(const std::vector<NodeRails>& nodes, uint32_t rail, std::vector<std::string>* warnings) {
  for (const Trait& trait : kTraits) {
    std::vector<std::string> values;
    std::vector<const std::string*> labels;
    for (const NodeRails& node : nodes) {
      const v1::Port* port = PortOfRail(*node.door, rail);
      if (port == nullptr || trait.of(*port).empty()) continue;
      values.push_back(trait.of(*port));
      labels.push_back(&node.label);
    }
    const std::string usual = Usual(values);
    for (size_t i = 0; i < values.size(); ++i)
      if (!usual.empty() && values[i] != usual)
        warnings->push_back(fmt::format("{}: rail {} has {} {}, on most nodes it is {}", *labels[i], rail, trait.name,
                                        values[i], usual));
    if (usual.empty() && values.size() > 1 &&
        std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) != values.end())
      warnings->push_back(fmt::format("rail {}: the nodes do not agree on its {}", rail, trait.name));
  }
}

}  // namespace

std::vector<std::string> RailWarnings(const std::vector<NodeRails>& nodes) {
  std::vector<std::string> warnings, counts;
  uint32_t most = 0;
  for (const NodeRails& node : nodes) {
    most = std::max(most, CountRails(*node.door));
    counts.push_back(std::to_string(CountRails(*node.door)));
  }
  if (most == 0) return warnings;
  const std::string usual = Usual(counts);
  for (size_t i = 0; i < nodes.size(); ++i)
    if (counts[i] != (usual.empty() ? std::to_string(most) : usual))
      warnings.push_back(fmt::format("{} has {} rails, {} {}", nodes[i].label, counts[i],
                                     usual.empty() ? "another node has" : "most nodes have",
                                     usual.empty() ? std::to_string(most) : usual));
  for (uint32_t rail = 0; rail < most; ++rail) CheckRail(nodes, rail, &warnings);
  return warnings;
}

}  // namespace netsense
