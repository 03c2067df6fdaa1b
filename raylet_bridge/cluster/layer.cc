#include "raylet_bridge/cluster/layer.h"

#include "proto/enum_names.h"

namespace netsense {
namespace {

// Of an edge or of a layer.
template <typename Edge>
bool Stands(const Edge& edge, const Layer& layer) {
  const bool same_rail = edge.cross_rail || edge.rail == layer.rail;
  if (edge.cross_rail != layer.cross_rail || !same_rail || edge.transport != layer.transport) return false;
  return edge.fabric == layer.fabric || !FabricIsKnown(edge.fabric);
}

}  // namespace

Layer LayerOf(const ReportEdge& edge) {
  return {edge.transport, edge.fabric, edge.cross_rail, edge.cross_rail ? std::nullopt : edge.rail};
}

Layer LayerOf(const v1::PathTotals& totals) {
  return {totals.transport(), FabricName(totals.fabric()), totals.cross_rail(),
          totals.has_rail() && !totals.cross_rail() ? std::optional<int64_t>(totals.rail()) : std::nullopt};
}

bool FabricIsKnown(const std::string& fabric) {
  static const std::string kUnknown = FabricName(v1::FABRIC_KIND_UNKNOWN);
  return !fabric.empty() && fabric != kUnknown;
}

bool StandsIn(const ReportEdge& edge, const Layer& layer) { return Stands(edge, layer); }

bool TakesOver(const Layer& present, const Layer& gone) {
  return !FabricIsKnown(gone.fabric) && FabricIsKnown(present.fabric) && Stands(gone, present);
}

bool OfOneLayer(const ReportEdge* a, const ReportEdge* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->rail == b->rail && a->cross_rail == b->cross_rail && a->transport == b->transport && a->fabric == b->fabric;
}

}  // namespace netsense
