#include "raylet_bridge/cluster/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/plain_transport.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

std::vector<Layer> FindLayers(const ClusterView& view, std::vector<std::string>* warnings) {
  const std::string kUnknown = FabricName(v1::FABRIC_KIND_UNKNOWN);
  std::map<Layer, size_t> edges;
  size_t* count = nullptr;
  const ReportEdge* before = nullptr;
  for (const auto& [node_id, report] : view.reports) {
    if (!report.ok()) continue;
    for (const ReportEdge& edge : report->edges) {
      if (edge.cross_rail) continue;
      // Neighbours are mostly of the same layer.
      if (!OfOneLayer(before, &edge)) {
        Layer layer = LayerOf(edge);
        if (!FabricIsKnown(layer.fabric)) layer.fabric = kUnknown;
        count = &edges[std::move(layer)];
      }
      before = &edge;
      ++*count;
    }
  }
  // What a known fabric takes over stands in no layer of its own.
  std::erase_if(edges, [&edges](const auto& entry) {
    return std::any_of(edges.begin(), edges.end(),
                       [&entry](const auto& other) { return TakesOver(other.first, entry.first); });
  });
  if (edges.empty()) edges.emplace(Layer{kPlainTransport, kUnknown}, 0);
  std::vector<std::pair<Layer, size_t>> found(edges.begin(), edges.end());
  if (found.size() > Layers::kMost) {
    if (warnings != nullptr)
      warnings->push_back(
          fmt::format("the nodes report {} layers: the {} with most edges are shown", found.size(), Layers::kMost));
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    found.resize(Layers::kMost);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.transport != kPlainTransport, a.first) <
           std::pair(b.first.transport != kPlainTransport, b.first);
  });
  std::vector<Layer> layers;
  for (auto& [layer, number] : found) layers.push_back(layer);
  return layers;
}

}  // namespace

Layers::Layers(const ClusterView& view, std::vector<std::string>* warnings)
    : nodes_(view.nodes.size()), layers_(FindLayers(view, warnings)), last_pair_(layers_.size()) {
  if (std::none_of(layers_.begin(), layers_.end(), [](const Layer& layer) { return layer.rail; })) return;
  for (const ClusterNode& node : view.nodes) {
    auto door = view.doors.find(node.node_id);
    doors_.push_back(door != view.doors.end() && door->second.ok() ? &*door->second : nullptr);
  }
}

bool Layers::Has(size_t layer, const JudgedEdge& edge) const {
  if (edge.reported != nullptr) return StandsIn(*edge.reported, layers_[layer]);
  return !LacksRail(edge.src_place, layers_[layer]) && !LacksRail(edge.dst_place, layers_[layer]);
}

// A node whose door is not known may have the rail.
bool Layers::LacksRail(size_t place, const Layer& layer) const {
  if (!layer.rail || doors_[place] == nullptr) return false;
  return *layer.rail >= kMostRails || PortOfRail(*doors_[place], static_cast<uint32_t>(*layer.rail)) == nullptr;
}

}  // namespace netsense
