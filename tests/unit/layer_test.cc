#include "raylet_bridge/cluster/layer.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

ReportEdge Edge(const char* fabric, std::optional<int64_t> rail = {}, bool cross_rail = false) {
  ReportEdge edge;
  edge.transport = "tcp";
  edge.fabric = fabric;
  edge.rail = rail;
  edge.cross_rail = cross_rail;
  return edge;
}

TEST(Layer, AnEdgeStandsInItsOwn) {
  EXPECT_EQ(LayerOf(Edge("roce", 2)), (Layer{"tcp", "roce", false, 2}));
  EXPECT_EQ(LayerOf(Edge("roce", {}, true)), (Layer{"tcp", "roce", true}));
  EXPECT_EQ(LayerOf(Edge("roce", 3, true)), (Layer{"tcp", "roce", true})) << "whichever rails they are";
  for (const ReportEdge& edge : {Edge("roce", 2), Edge("roce"), Edge("roce", 3, true)})
    EXPECT_TRUE(StandsIn(edge, LayerOf(edge)));
  for (const Layer& other : {Layer{"tcp", "roce", false, 1}, Layer{"tcp", "roce"}, Layer{"tcp", "ethernet", false, 2},
                             Layer{"ucx", "roce", false, 2}, Layer{"tcp", "roce", true}})
    EXPECT_FALSE(StandsIn(Edge("roce", 2), other));
}

TEST(Layer, AnEdgeOfUnknownFabricStandsInEachOfItsTransportAndRail) {
  for (const char* unknown : {"", "unknown"}) {
    EXPECT_TRUE(StandsIn(Edge(unknown, 0), {"tcp", "roce", false, 0}));
    EXPECT_TRUE(StandsIn(Edge(unknown, 0), {"tcp", "ethernet", false, 0}));
    EXPECT_FALSE(StandsIn(Edge(unknown, 0), {"tcp", "roce", false, 1}));
    EXPECT_FALSE(StandsIn(Edge(unknown, 0), {"ucx", "roce", false, 0}));
  }
}

TEST(Layer, OfAKnownFabricTakesOverTheUnknown) {
  EXPECT_TRUE(TakesOver({"tcp", "roce", false, 0}, {"tcp", "unknown", false, 0}));
  EXPECT_FALSE(TakesOver({"tcp", "roce", false, 0}, {"tcp", "ethernet", false, 0})) << "that one is known";
  EXPECT_FALSE(TakesOver({"tcp", "unknown", false, 0}, {"tcp", "unknown", false, 0})) << "it is the same";
  EXPECT_FALSE(TakesOver({"tcp", "roce", false, 1}, {"tcp", "unknown", false, 0}));
}

TEST(Layer, OfTotalsIsThatOfTheEdges) {
  v1::PathTotals totals;
  totals.set_transport("tcp");
  totals.set_fabric(v1::FABRIC_KIND_ROCE);
  totals.set_rail(0);
  EXPECT_EQ(LayerOf(totals), LayerOf(Edge("roce", 0)));
  totals.set_cross_rail(true);
  EXPECT_EQ(LayerOf(totals), LayerOf(Edge("roce", {}, true)));
}

}  // namespace
}  // namespace netsense
