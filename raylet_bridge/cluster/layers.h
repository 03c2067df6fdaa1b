// Which layers a cluster has, and in which of them each of its edges stands: for the matrix and the history.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "raylet_bridge/cluster/layer.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

// Not thread-safe. The view outlives it.
class Layers {
 public:
  static constexpr size_t kMost = 64;

  // The layers that the reports name, tcp/unknown when there are none; the kMost that most edges belong to, and then
  // says so in `warnings`. tcp first, then by name.
  explicit Layers(const ClusterView& view, std::vector<std::string>* warnings = nullptr);

  const std::vector<Layer>& all() const { return layers_; }

  // Calls `visit(layer, first)` for each layer, by its place in all(), that `edge` stands in; `first`: it is the pair's
  // first one there, which counts. Edges come in the order of JudgeCluster. A pair that nobody reported stands in each
  // layer but those of a rail that one of the two nodes lacks; an edge between two rails in none.
  template <typename Visit>
  void Of(const JudgedEdge& edge, Visit&& visit) {
    const ReportEdge* reported = edge.reported;
    if (reported != nullptr && reported->cross_rail) return;
    // Neighbours mostly are of one layer, and one whose fabric is known stands in one alone.
    const bool as_the_last =
        reported != nullptr && FabricIsKnown(reported->fabric) && StandsIn(*reported, layers_[last_]);
    for (size_t layer = as_the_last ? last_ : 0; layer < (as_the_last ? last_ + 1 : layers_.size()); ++layer) {
      if (!as_the_last && !Has(layer, edge)) continue;
      const size_t pair = 1 + edge.src_place * nodes_ + edge.dst_place;
      visit(layer, last_pair_[layer] != pair);
      last_pair_[layer] = pair;
      last_ = layer;
    }
  }

 private:
  bool Has(size_t layer, const JudgedEdge& edge) const;
  bool LacksRail(size_t place, const Layer& layer) const;

  const size_t nodes_;
  std::vector<Layer> layers_;
  std::vector<const DoorRecord*> doors_;  // by place; empty when no layer is a rail's
  std::vector<size_t> last_pair_;         // by layer; 0 = none yet
  size_t last_ = 0;                       // the layer of the last edge
};

}  // namespace netsense
