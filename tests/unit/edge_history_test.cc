#include "raylet_bridge/cluster/edge_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "raylet_bridge/cluster/matrix_document.h"
#include "synthetic_cluster.h"
#include "tests/unit/allocations.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int64_t kNow = 1'700'000'000'000;
const MonotonicTime kStart = MonotonicTime() + std::chrono::hours(100);
const Layer kTcp{"tcp", "ethernet"};

std::string Id(size_t i) { return absl::StrFormat("%056x", i); }

// Every pair of the nodes alike.
void AddAll(EdgeHistory& history, const std::vector<size_t>& nodes, double rtt_ms, MonotonicTime now,
            v1::PathState state = v1::PATH_STATE_OK, const std::vector<Layer>& layers = {kTcp}) {
  std::vector<std::string> ids;
  for (size_t node : nodes) ids.push_back(Id(node));
  history.Begin(ids, layers, now);
  const bool ok = state == v1::PATH_STATE_OK;
  for (size_t layer = 0; layer < layers.size(); ++layer)
    for (size_t src = 0; src < nodes.size(); ++src)
      for (size_t dst = 0; dst < nodes.size(); ++dst)
        if (src != dst)
          history.Add(src, dst, layer, state, ok ? std::optional(rtt_ms) : std::nullopt,
                      ok ? std::optional(1000 * rtt_ms) : std::nullopt);
}

std::vector<EdgeHistory::Point> PointsOf(const EdgeHistory& history, MonotonicTime now, size_t src = 1,
                                         size_t dst = 2) {
  const auto lines = history.Of(Id(src), Id(dst), kNow, now);
  return lines.empty() ? std::vector<EdgeHistory::Point>() : lines[0].points;
}

TEST(EdgeHistory, OnePointEachTenSecondsOfTheNewestFiguresAndTheGravestState) {
  EdgeHistory history;
  EXPECT_TRUE(PointsOf(history, kStart).empty());
  AddAll(history, {1, 2}, 0.5, kStart);
  AddAll(history, {1, 2}, 0, kStart + seconds(2), v1::PATH_STATE_UNREACHABLE);
  AddAll(history, {1, 2}, 0.25, kStart + seconds(4));
  AddAll(history, {1, 2}, 0.75, kStart + seconds(10));
  const auto lines = history.Of(Id(1), Id(2), kNow, kStart + seconds(12));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].layer, kTcp);
  EXPECT_EQ(lines[0].step_ms, 10'000);
  const auto& points = lines[0].points;
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].ts_ms, kNow - 12'000);
  EXPECT_EQ(points[0].rtt_p50_ms, 0.25f);
  EXPECT_EQ(points[0].bw_p50_mbps, 250.f);
  EXPECT_EQ(points[0].state, v1::PATH_STATE_UNREACHABLE) << "an outage of 2 s is not lost";
  EXPECT_EQ(points[1].ts_ms, kNow - 2'000);
  EXPECT_EQ(points[1].rtt_p50_ms, 0.75f);
  EXPECT_EQ(points[1].state, v1::PATH_STATE_OK);
  EXPECT_TRUE(history.Of(Id(1), Id(1), kNow, kStart).empty()) << "a node has no edge to itself";
  EXPECT_TRUE(history.Of(Id(1), Id(9), kNow, kStart).empty());
}

TEST(EdgeHistory, WhatIsNotKnownHasNoFigures) {
  EdgeHistory history;
  AddAll(history, {1, 2}, 0, kStart, v1::PATH_STATE_UNKNOWN);
  const auto points = PointsOf(history, kStart);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_FALSE(points[0].rtt_p50_ms || points[0].bw_p50_mbps);
  EXPECT_EQ(points[0].state, v1::PATH_STATE_UNKNOWN);
}

TEST(EdgeHistory, HoldsOneHour) {
  EdgeHistory history;
  for (int i = 0; i < 1000; ++i) AddAll(history, {1, 2}, static_cast<float>(i), kStart + seconds(10) * i);
  const auto points = PointsOf(history, kStart + seconds(9990));
  ASSERT_EQ(points.size(), 361u);
  EXPECT_EQ(points.front().rtt_p50_ms, 639.f);
  EXPECT_EQ(points.back().rtt_p50_ms, 999.f);
  for (size_t i = 1; i < points.size(); ++i) EXPECT_EQ(points[i].ts_ms - points[i - 1].ts_ms, 10'000);
}

TEST(EdgeHistory, ATimeWithoutTicksIsAGap) {
  EdgeHistory history;
  AddAll(history, {1, 2}, 0.5, kStart);
  EXPECT_EQ(PointsOf(history, kStart + minutes(59)).size(), 1u);
  EXPECT_TRUE(PointsOf(history, kStart + minutes(61)).empty()) << "over an hour old";
  AddAll(history, {1, 2}, 0.25, kStart + minutes(50));
  EXPECT_EQ(PointsOf(history, kStart + minutes(50)).size(), 2u);
  AddAll(history, {1, 2}, 0.125, kStart + std::chrono::hours(20));
  ASSERT_EQ(PointsOf(history, kStart + std::chrono::hours(20)).size(), 1u);
}

TEST(EdgeHistory, WhatIsGoneForATickKeepsItsHour) {
  const Layer verbs{"verbs", "infiniband", false, 0}, unknown{"tcp", "unknown"};
  EdgeHistory history;
  for (int i = 0; i < 60; ++i)
    AddAll(history, {1, 2, 3}, 0.5, kStart + seconds(10) * i, v1::PATH_STATE_OK, {kTcp, verbs});
  // The GCS lost its keys, then even its nodes; then a node and a layer are late.
  AddAll(history, {1, 2, 3}, 0, kStart + seconds(600), v1::PATH_STATE_UNKNOWN, {unknown});
  AddAll(history, {}, 0, kStart + seconds(610), v1::PATH_STATE_UNKNOWN, {unknown});
  AddAll(history, {0, 1, 2}, 0.25, kStart + seconds(620));
  const MonotonicTime now = kStart + seconds(630);
  AddAll(history, {0, 1, 2, 3}, 0.125, now, v1::PATH_STATE_OK, {kTcp, verbs});
  const auto lines = history.Of(Id(1), Id(2), kNow, now);
  ASSERT_EQ(lines.size(), 2u) << "a fabric that is known takes the place of the one that was not";
  EXPECT_EQ(lines[0].layer, kTcp);
  EXPECT_EQ(lines[0].points.size(), 62u);
  EXPECT_EQ(lines[0].points[59].rtt_p50_ms, 0.5f);
  EXPECT_EQ(lines[0].points[60].rtt_p50_ms, 0.25f);
  EXPECT_EQ(lines[1].layer, verbs);
  EXPECT_EQ(lines[1].points.size(), 61u);
  EXPECT_EQ(PointsOf(history, now, 1, 3).size(), 61u) << "although its place is another one now";
  EXPECT_EQ(PointsOf(history, now, 0, 1).size(), 2u);
}

TEST(EdgeHistory, WhatIsGoneForAnHourIsForgotten) {
  const Layer verbs{"verbs", "infiniband", false, 0};
  EdgeHistory history;
  AddAll(history, {1, 2}, 0.5, kStart);
  const size_t least = history.bytes();
  AddAll(history, {1, 2, 3}, 0.5, kStart + seconds(10), v1::PATH_STATE_OK, {kTcp, verbs});
  const size_t most = history.bytes();
  AddAll(history, {1, 2}, 0.5, kStart + minutes(60));
  EXPECT_EQ(history.bytes(), most);
  AddAll(history, {1, 2}, 0.5, kStart + minutes(61));
  EXPECT_EQ(history.bytes(), least);
  EXPECT_TRUE(PointsOf(history, kStart + minutes(61), 1, 3).empty());
  AddAll(history, {}, 0, kStart + minutes(122), v1::PATH_STATE_OK, {});
  EXPECT_EQ(history.bytes(), 0u);
}

TEST(EdgeHistory, TheGoneTakeNoMoreThanTheirShareOfTheMemory) {
  std::vector<size_t> nodes(512);
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i] = i;
  const Layer verbs{"verbs", "infiniband", false, 0}, unknown{"tcp", "unknown"};
  EdgeHistory history;
  AddAll(history, nodes, 0.5, kStart, v1::PATH_STATE_OK, {kTcp, verbs});
  AddAll(history, nodes, 0, kStart + seconds(700), v1::PATH_STATE_UNKNOWN, {unknown});
  EXPECT_EQ(history.Of(Id(1), Id(2), kNow, kStart + seconds(700)).size(), 3u);
  EXPECT_EQ(history.step_ms(), 640'000) << "four times what the present layer needs";
  EXPECT_LE(history.bytes(), EdgeHistory::kMaxBytes);
  // Nodes that come and go, 60 at a time, while 60 others stay.
  EdgeHistory busy;
  std::vector<size_t> some(nodes.begin(), nodes.begin() + 60);
  for (size_t i = 0; i < 8; ++i) {
    some.resize(60);
    for (size_t j = 0; j < 60; ++j) some.push_back(1000 + 60 * i + j);
    AddAll(busy, some, 0.5, kStart + seconds(10) * static_cast<int>(i));
    EXPECT_LE(busy.bytes(), EdgeHistory::kMaxBytes);
    EXPECT_LE(busy.step_ms(), 4 * EdgeHistory::kFinestStepMs);
  }
  const MonotonicTime now = kStart + seconds(70);
  EXPECT_EQ(PointsOf(busy, now, 1, 2).size(), 2u) << "merged to 40 s";
  EXPECT_EQ(PointsOf(busy, now, 1, 1360).size(), 1u);
  EXPECT_TRUE(PointsOf(busy, now, 1, 1000).empty()) << "the longest gone are forgotten first";
}

TEST(EdgeHistory, MoreEdgesMakeTheStepLongerWithinTheSameMemory) {
  EdgeHistory history;
  std::vector<size_t> nodes;
  for (size_t i = 0; i < 140; ++i) nodes.push_back(i);
  AddAll(history, nodes, 0.5, kStart);
  EXPECT_EQ(history.step_ms(), 10'000);
  AddAll(history, nodes, 0.25, kStart + seconds(10), v1::PATH_STATE_OK);
  AddAll(history, nodes, 0, kStart + seconds(20), v1::PATH_STATE_REFUSED);
  AddAll(history, nodes, 0.125, kStart + seconds(30));
  while (nodes.size() < 190) nodes.push_back(nodes.size());
  AddAll(history, nodes, 0.0625, kStart + seconds(40));
  EXPECT_EQ(history.step_ms(), 20'000);
  const auto points = PointsOf(history, kStart + seconds(40));
  ASSERT_EQ(points.size(), 3u) << "two by two, and the new one";
  EXPECT_EQ(points[0].rtt_p50_ms, 0.25f);
  EXPECT_EQ(points[0].state, v1::PATH_STATE_OK);
  EXPECT_EQ(points[1].rtt_p50_ms, 0.125f);
  EXPECT_EQ(points[1].state, v1::PATH_STATE_REFUSED);
  EXPECT_EQ(points[2].rtt_p50_ms, 0.0625f);
  nodes.resize(20);
  AddAll(history, nodes, 0.5, kStart + seconds(60));
  EXPECT_EQ(history.step_ms(), 20'000) << "for those that are gone";
  AddAll(history, nodes, 0.5, kStart + minutes(58));
  AddAll(history, nodes, 0.5, kStart + seconds(3650));
  EXPECT_EQ(history.step_ms(), 10'000) << "an hour later";
  EXPECT_EQ(PointsOf(history, kStart + seconds(3650)).size(), 3u);
}

TEST(EdgeHistory, IsBoundedWhateverTheCluster) {
  for (const auto& [number, step_ms] : {std::pair<size_t, int64_t>{512, 160'000}, {1024, 640'000}}) {
    EdgeHistory history;
    std::vector<size_t> nodes(number);
    for (size_t i = 0; i < number; ++i) nodes[i] = i;
    AddAll(history, nodes, 0.5, kStart);
    EXPECT_EQ(history.step_ms(), step_ms) << number;
    EXPECT_LE(history.bytes(), EdgeHistory::kMaxBytes);
    EXPECT_EQ(PointsOf(history, kStart).size(), 1u);
    AddAll(history, nodes, 0.5, kStart, v1::PATH_STATE_OK, {kTcp, {"verbs", "infiniband", false, 0}});
    EXPECT_LE(history.bytes(), EdgeHistory::kMaxBytes);
  }
}

// Rails, a fabric that is not known yet, nodes without a report: every cell of every layer.
TEST(EdgeHistory, ALookKeepsWhatTheMatrixShows) {
  for (const SyntheticOptions& options : {SyntheticOptions{.nodes = 20}, SyntheticOptions{.nodes = 20, .rails = 2}}) {
    SyntheticCluster cluster(options);
    ClusterView view = *cluster.At(1, kNow);
    for (ReportEdge& edge : view.reports.begin()->second->edges) edge.fabric = "unknown";
    EdgeHistory history;
    history.Look(view, Settings(), kNow, kStart);
    const auto matrix = BuildMatrix(view, Settings(), kNow, kStart);
    ASSERT_TRUE(matrix.ok()) << matrix.status();
    size_t cells = 0, figures = 0;
    for (size_t src = 0; src < 20; ++src)
      for (size_t dst = 0; dst < 20; ++dst) {
        const auto lines = history.Of(view.nodes[src].node_id, view.nodes[dst].node_id, kNow, kStart);
        for (const MatrixLayer& layer : matrix->layers) {
          auto line =
              std::find_if(lines.begin(), lines.end(), [&](const auto& each) { return each.layer == layer.name; });
          const size_t cell = src * 20 + dst;
          ASSERT_EQ(line == lines.end(), layer.state[cell] == Matrix::kNoEdge) << src << " to " << dst;
          if (line == lines.end()) continue;
          ++cells;
          const EdgeHistory::Point& point = line->points.at(0);
          EXPECT_EQ(point.state, layer.state[cell]);
          for (const auto& [known, shown] :
               {std::pair(point.rtt_p50_ms, layer.rtt_p50_ms[cell]), {point.bw_p50_mbps, layer.bw_p50_mbps[cell]}}) {
            EXPECT_EQ(known.has_value(), !std::isnan(shown));
            if (!known) continue;
            EXPECT_EQ(*known, shown);
            ++figures;
          }
        }
      }
    EXPECT_GT(cells, 20u * 19) << "of more than one layer";
    EXPECT_GT(figures, 300u);
  }
}

// Once a whole matrix was built at each tick, for the history alone.
TEST(EdgeHistory, ALookMakesNoMatrix) {
  constexpr size_t kNodes = 160;
  SyntheticCluster cluster({.nodes = kNodes});
  const auto view = cluster.At(1, kNow);
  EdgeHistory history;
  history.Look(*view, Settings(), kNow, kStart);
  const Allocations look = AllocationsOf([&] { history.Look(*view, Settings(), kNow, kStart); });
  const Allocations matrix = AllocationsOf([&] { (void)BuildMatrix(*view, Settings(), kNow, kStart); });
  EXPECT_GT(matrix.peak, look.peak + 2 * 31 * kNodes * kNodes) << "the columns of two layers";
}

}  // namespace
}  // namespace netsense
