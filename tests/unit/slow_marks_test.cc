#include "raylet_bridge/cluster/slow_marks.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace netsense {
namespace {

// A full mesh of nodes; every edge 9.4 Gb/s and 70 us, with what `change` makes of it.
struct Mesh {
  using Change = std::function<void(size_t src, size_t dst, ReportEdge& edge)>;

  Mesh(size_t nodes, const Change& change) {
    for (size_t src = 0; src < nodes; ++src)
      for (size_t dst = 0; dst < nodes; ++dst) {
        if (dst == src) continue;
        ReportEdge edge;
        edge.transport = "tcp";
        edge.fabric = "ethernet";
        edge.state = v1::PATH_STATE_OK;
        edge.bw_state = v1::BANDWIDTH_STATE_MEASURED;
        edge.bw_age_ms = 0;
        edge.bw_life_ms = 60'000;
        edge.bw_samples = edge.bw_window = 3;
        edge.bw_mbps = edge.bw_p50_mbps = edge.bw_best_mbps = 9400;
        edge.rtt_ms = edge.rtt_p50_ms = 0.07;
        edge.rtt_distribution_ms =
            DistributionMs{.count = 300, .min = 0.06, .p50 = 0.07, .p90 = 0.09, .span_ms = 600'000};
        change(src, dst, edge);
        edges.push_back({{src, dst}, std::move(edge)});
      }
    for (const auto& [ends, edge] : edges) marks.Add(edge, ends.first, ends.second, 0);
    marks.Conclude();
  }

  // "0>1:bw 0>2:rtt 1>2:bw,rtt", of those that are slow.
  std::string Slow() const {
    std::string text;
    for (const auto& [ends, edge] : edges) {
      const SlowMark mark = SlowMarks::Lookup(marks).Of(edge, 0);
      if (!mark.any()) continue;
      if (!text.empty()) text += " ";
      text += std::to_string(ends.first) + ">" + std::to_string(ends.second) + ":";
      text += mark.rtt_times == 0 ? "bw" : mark.bandwidth_times == 0 ? "rtt" : "bw,rtt";
    }
    return text;
  }
  SlowMark Of(size_t i) const { return SlowMarks::Lookup(marks).Of(edges[i].second, 0); }

  std::vector<std::pair<std::pair<size_t, size_t>, ReportEdge>> edges;
  SlowMarks marks;
};

void Carry(ReportEdge& edge, double mbps) { edge.bw_mbps = edge.bw_p50_mbps = edge.bw_best_mbps = mbps; }
void Take(ReportEdge& edge, double ms) {
  edge.rtt_ms = edge.rtt_p50_ms = ms;
  edge.rtt_distribution_ms =
      DistributionMs{.count = 300, .min = 0.9 * ms, .p50 = ms, .p90 = 1.2 * ms, .span_ms = 600'000};
}

TEST(SlowMarks, WhereAllAreAlikeNobodyIsSlow) {
  EXPECT_EQ(Mesh(5, [](size_t, size_t, ReportEdge&) {}).Slow(), "");
  EXPECT_EQ(Mesh(1, [](size_t, size_t, ReportEdge&) {}).Slow(), "");
}

TEST(SlowMarks, ANodeAtAFifthOfTheOthersIsFoundAmongAnyNumber) {
  auto one_slow = [](size_t src, size_t dst, ReportEdge& edge) {
    if (src == 0 || dst == 0) Carry(edge, 1880);
  };
  EXPECT_EQ(Mesh(3, one_slow).Slow(), "0>1:bw 0>2:bw 1>0:bw 2>0:bw");
  EXPECT_EQ(Mesh(4, one_slow).Slow(), "0>1:bw 0>2:bw 0>3:bw 1>0:bw 2>0:bw 3>0:bw");
  const Mesh eight(8, one_slow);
  EXPECT_EQ(eight.Slow().size(), 14 * 7u - 1) << eight.Slow();
  const SlowMark mark = eight.Of(0);
  EXPECT_NEAR(mark.bandwidth_times, 5, 0.01);
  EXPECT_EQ(*mark.words, "bandwidth below 50 % of the median of its class, 9.4 Gb/s");
  EXPECT_EQ(*Mesh(3, one_slow).Of(0).words, "bandwidth below 50 % of the best of its class, 9.4 Gb/s");
}

TEST(SlowMarks, BetweenTwoNodesTheOtherWayTells) {
  EXPECT_EQ(Mesh(2,
                 [](size_t src, size_t, ReportEdge& edge) {
                   if (src == 1) Carry(edge, 900);
                 })
                .Slow(),
            "1>0:bw");
}

TEST(SlowMarks, PortsOfAnotherSpeedAreAnotherClass) {
  auto two_speeds = [](size_t src, size_t dst, ReportEdge& edge) {
    const bool fast = src < 4 && dst < 4;
    edge.bw_expected_mbps = fast ? 100'000 : 10'000;
    Carry(edge, fast ? 94'000 : 9400);
  };
  EXPECT_EQ(Mesh(8, two_speeds).Slow(), "");
}

TEST(SlowMarks, WhatPortsCouldCarryCountsOnlyWhereAnotherEdgeReachesIt) {
  auto of_100g = [](double most, double few) {
    return Mesh(4, [=](size_t src, size_t dst, ReportEdge& edge) {
      edge.bw_expected_mbps = 100'000;
      Carry(edge, src == 0 && dst == 1 ? few : most);
    });
  };
  EXPECT_EQ(of_100g(30'000, 30'000).Slow(), "") << "one TCP stream on a fast port";
  EXPECT_EQ(of_100g(30'000, 20'000).Slow(), "");
  const Mesh one_reaches = of_100g(30'000, 95'000);
  EXPECT_EQ(one_reaches.Slow().size(), 11 * 7u - 1) << "all but that one: " << one_reaches.Slow();
  EXPECT_EQ(*one_reaches.Of(1).words,
            "bandwidth below 50 % of 95 Gb/s, which others of its class reach; its ports could carry 100 Gb/s");
  EXPECT_NEAR(one_reaches.Of(1).bandwidth_times, 3.17, 0.01);
  EXPECT_EQ(of_100g(49'000, 51'000).Slow(), "") << "just below and just above the half of what ports carry";
}

TEST(SlowMarks, OneRailIsJudgedBesideTheOthers) {
  std::vector<ReportEdge> edges;
  for (int rail = 0; rail < 8; ++rail)
    Mesh(4, [&](size_t, size_t, ReportEdge& edge) {
      edge.rail = rail;
      Carry(edge, rail == 3 ? 1000 : 9400);
      edges.push_back(edge);
    });
  SlowMarks marks;
  for (size_t i = 0; i < edges.size(); ++i) marks.Add(edges[i], i % 12 / 3, (i % 12 / 3 + 1 + i % 3) % 4, 0);
  marks.Conclude();
  for (const ReportEdge& edge : edges)
    EXPECT_EQ(SlowMarks::Lookup(marks).Of(edge, 0).any(), edge.rail == 3) << *edge.rail;
}

TEST(SlowMarks, WhatLiesBetweenTwoRailsIsAClassOfItsOwn) {
  EXPECT_EQ(Mesh(6,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   edge.cross_rail = (src + dst) % 2 == 1;
                   if (edge.cross_rail) Take(edge, 0.5);
                 })
                .Slow(),
            "");
}

TEST(SlowMarks, RoundTripsByTheNoiseOfTheirOwnClass) {
  auto one_late = [](double usual, double p90, double late) {
    return Mesh(4,
                [=](size_t src, size_t dst, ReportEdge& edge) {
                  const double ms = src == 0 && dst == 1 ? late : usual;
                  edge.rtt_ms = edge.rtt_p50_ms = ms;
                  edge.rtt_distribution_ms = DistributionMs{.count = 300, .p50 = ms, .p90 = p90, .span_ms = 600'000};
                })
        .Slow();
  };
  EXPECT_EQ(one_late(0.002, 0.003, 0.090), "0>1:rtt") << "RDMA";
  EXPECT_EQ(one_late(0.002, 0.003, 0.0065), "") << "a few switches more";
  EXPECT_EQ(one_late(0.060, 0.110, 0.240), "0>1:rtt");
  EXPECT_EQ(one_late(0.060, 0.250, 0.240), "") << "as others jitter";
  EXPECT_EQ(one_late(0.060, 0.070, 0.150), "") << "2.5 times";
}

TEST(SlowMarks, BetweenTwoNodesBothWaysAreOneWire) {
  EXPECT_EQ(Mesh(2,
                 [](size_t src, size_t, ReportEdge& edge) {
                   if (src == 1) Take(edge, 7);
                 })
                .Slow(),
            "");
}

TEST(SlowMarks, OfThreeNodesTheLateOneIsFound) {
  const Mesh mesh(3, [](size_t src, size_t dst, ReportEdge& edge) {
    if (src == 0 || dst == 0) Take(edge, 0.5);
  });
  EXPECT_EQ(mesh.Slow(), "0>1:rtt 0>2:rtt 1>0:rtt 2>0:rtt");
  EXPECT_EQ(*mesh.Of(0).words, "round trip over 3 times the best of its class, 70 µs");
}

// Beside busy loops, the threads of one session woke late for minutes, 280 us beside 91.
TEST(SlowMarks, OfThreeNodesABusyHostMakesNoneLate) {
  EXPECT_EQ(Mesh(3,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   if (src != 1 || dst != 0) return;
                   Take(edge, 0.28);
                   edge.rtt_distribution_ms->min = 0.088;
                 })
                .Slow(),
            "");
}

// Streams of a megabyte beside busy loops, for minutes at half of what others carried, and of what they carried before.
TEST(SlowMarks, OfThreeNodesABusyHostMakesNoneSlow) {
  auto after = [](double best) {
    return Mesh(3,
                [=](size_t src, size_t dst, ReportEdge& edge) {
                  if (src != 2 || dst != 1) return;
                  Carry(edge, 4000);
                  edge.bw_best_mbps = best;
                })
        .Slow();
  };
  EXPECT_EQ(after(9000), "");
  EXPECT_EQ(after(4100), "2>1:bw");
}

TEST(SlowMarks, NonsenseOfOneReportSpoilsNoOthers) {
  EXPECT_EQ(Mesh(3,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   if (src == 0 && dst == 1) Carry(edge, 1e308);
                 })
                .Slow(),
            "")
      << "where the best one is the measure";
  EXPECT_EQ(Mesh(4,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   if (src != 0) return;
                   if (dst == 1) Carry(edge, 1e308);
                   if (dst == 2) Take(edge, 1e308);
                   if (dst == 3) Take(edge, 0);
                 })
                .Slow(),
            "0>2:rtt")
      << "itself";
}

TEST(SlowMarks, OneFigureByChanceMakesNobodySlow) {
  EXPECT_EQ(Mesh(4,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   if (src == 0 && dst == 1) edge.bw_mbps = 900;  // the smoothed figure alone
                   if (src == 1 && dst == 0) edge.bw_p50_mbps = 900;
                   if (src == 2 && dst == 0) edge.rtt_ms = 7;
                   if (src == 0 && dst == 2) edge.rtt_p50_ms = 7;
                   if (src == 2 && dst == 1) edge.rtt_ms = edge.rtt_p50_ms = 7;  // ten seconds of ten minutes
                   if (src == 1 && dst == 2) {
                     Take(edge, 7);  // since it began, three minutes ago
                     edge.rtt_distribution_ms->span_ms = SlowMarks::kShortestSpanMs - 1;
                   }
                   if (src == 3) {
                     edge.bw_samples = SlowMarks::kFewestProbes - 1;
                     Carry(edge, 900);
                     Take(edge, 7);
                     edge.rtt_distribution_ms->count = SlowMarks::kFewestPings - 1;
                   }
                 })
                .Slow(),
            "");
}

TEST(SlowMarks, ABandwidthIsSlowOnceItStaysSo) {
  auto after = [](int rounds) {
    return Mesh(4,
                [=](size_t src, size_t dst, ReportEdge& edge) {
                  if (src != 0 || dst != 1) return;
                  edge.bw_p50_mbps = 900;
                  for (int i = 0; i < rounds; ++i) *edge.bw_mbps += 0.3 * (*edge.bw_p50_mbps - *edge.bw_mbps);
                })
        .Slow();
  };
  for (int rounds : {1, 3, 5}) EXPECT_EQ(after(rounds), "") << rounds;
  for (int rounds : {6, 20}) EXPECT_EQ(after(rounds), "0>1:bw") << rounds;
}

TEST(SlowMarks, ABandwidthPastItsLifeIsNeitherSlowNorUsual) {
  EXPECT_EQ(Mesh(4,
                 [](size_t src, size_t, ReportEdge& edge) {
                   if (src != 0) return;
                   Carry(edge, 900);
                   edge.bw_age_ms = 60'001;
                 })
                .Slow(),
            "");
}

TEST(SlowMarks, AStreamThatStandsStillHasANumber) {
  EXPECT_GT(Mesh(4,
                 [](size_t src, size_t dst, ReportEdge& edge) {
                   if (src == 0 && dst == 1) Carry(edge, 0);
                 })
                .Of(0)
                .bandwidth_times,
            1000);
}

TEST(SlowMarks, ReportsThatNameClassesWithoutEndAreBounded) {
  SlowMarks marks;
  const Mesh mesh(2, [](size_t, size_t, ReportEdge&) {});
  ReportEdge edge = mesh.edges[0].second;
  for (int i = 0; i < 100'000; ++i) {
    edge.bw_expected_mbps = i + 1;
    marks.Add(edge, 0, 1, 0);
  }
  marks.Conclude();
  EXPECT_FALSE(SlowMarks::Lookup(marks).Of(edge, 0).any());
}

}  // namespace
}  // namespace netsense
