// What edges are shown together as: one transport over one fabric, on one rail.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "netsense/measurement.pb.h"
#include "raylet_bridge/records/report.h"

namespace netsense {

struct Layer {
  std::string transport, fabric;  // fabric: as FabricName(); empty = nobody said
  // Between two different rails, whichever they are: a layer of their own, which has no rail. The matrix and the
  // history have none of these.
  bool cross_rail = false;
  std::optional<int64_t> rail{};  // nothing = by the kernel's routes

  auto operator<=>(const Layer&) const = default;
};

Layer LayerOf(const ReportEdge& edge);
Layer LayerOf(const v1::PathTotals& totals);

bool FabricIsKnown(const std::string& fabric);
// The rule of edges whose fabric is not known yet, and the one place of it: such an edge stands in each layer of its
// transport and rail.
bool StandsIn(const ReportEdge& edge, const Layer& layer);
// Whether what stood in the layer `gone`, because its fabric was not known, now stands in `present`.
bool TakesOver(const Layer& present, const Layer& gone);
// Without making a Layer of each; false also for some that are. Null = an edge that nobody reported.
bool OfOneLayer(const ReportEdge* a, const ReportEdge* b);

}  // namespace netsense
