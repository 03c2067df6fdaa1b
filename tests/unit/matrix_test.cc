// The matrix's rounds, and its verdicts over networks that are made up.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "bench/matrix/blame_search.h"
#include "bench/matrix/looks.h"
#include "bench/matrix/nodes.h"
#include "bench/matrix/plan.h"
#include "bench/matrix/suspects.h"
#include "tests/lab/pace.h"

namespace netsense::matrix {
namespace {

using testing::HasSubstr;

std::vector<int> Nodes(int n) {
  std::vector<int> nodes(static_cast<size_t>(n));
  std::iota(nodes.begin(), nodes.end(), 0);
  return nodes;
}

TEST(MatrixPlan, EveryPairOnceAndNobodyTwiceInARound) {
  EXPECT_TRUE(CircleRounds({}).empty());
  EXPECT_TRUE(CircleRounds({7}).empty());
  for (int n = 2; n <= 65; ++n) {
    const auto rounds = CircleRounds(Nodes(n));
    EXPECT_EQ(rounds.size(), static_cast<size_t>(n % 2 == 0 ? n - 1 : n)) << n;
    std::set<Pair> seen;
    for (const auto& round : rounds) {
      EXPECT_EQ(round.size(), static_cast<size_t>(n / 2)) << n;
      std::set<int> busy;
      for (const Pair& pair : round) {
        EXPECT_LT(pair.a, pair.b);
        EXPECT_TRUE(seen.insert(pair).second) << n << ": " << pair.a << " " << pair.b;
        EXPECT_TRUE(busy.insert(pair.a).second) << n;
        EXPECT_TRUE(busy.insert(pair.b).second) << n;
      }
    }
    EXPECT_EQ(seen.size(), static_cast<size_t>(n * (n - 1) / 2)) << n;
  }
}

TEST(MatrixPlan, GoesByTheNodesThatAreThere) {
  const auto rounds = CircleRounds({1, 4, 6});
  std::set<Pair> seen;
  for (const auto& round : rounds) seen.insert(round.begin(), round.end());
  EXPECT_EQ(seen, (std::set<Pair>{{1, 4}, {1, 6}, {4, 6}}));
}

TEST(MatrixPlan, SaysWhatItWillCost) {
  const auto rounds = CircleRounds(Nodes(8));
  const Estimate bytes =
      EstimateOf(rounds, 2, {.pings = 0, .ping_bytes = 0, .stream_bytes = 1'000'000, .stream_seconds = {}}, 100.0);
  EXPECT_EQ(bytes.pairs, 28u);
  EXPECT_EQ(bytes.rounds, 7u);
  EXPECT_EQ(bytes.bytes, 28u * 2 * 2 * 1'000'000);
  EXPECT_FALSE(bytes.assumed_speed);
  const Estimate timed =
      EstimateOf(rounds, 1, {.pings = 100, .ping_bytes = 64, .stream_bytes = {}, .stream_seconds = 2.0}, {});
  EXPECT_TRUE(timed.assumed_speed);
  EXPECT_NEAR(timed.seconds, 7 * 4, 1.0);
}

TEST(MatrixPlan, RepeatsCostAgainAndCountAPairOnce) {
  auto rounds = CircleRounds(Nodes(8));
  const Load load = {.pings = 0, .ping_bytes = 0, .stream_bytes = 1'000'000, .stream_seconds = {}};
  const Estimate once = EstimateOf(rounds, 1, load, 100.0);
  for (auto& round : CircleRounds(Nodes(8))) rounds.push_back(round);
  const Estimate twice = EstimateOf(rounds, 1, load, 100.0);
  EXPECT_EQ(twice.pairs, once.pairs);
  EXPECT_EQ(twice.rounds, 2 * once.rounds);
  EXPECT_EQ(twice.bytes, 2 * once.bytes);
  EXPECT_DOUBLE_EQ(twice.seconds, 2 * once.seconds);
}

// A network in which `at` says what a look at a pair gives; `alone` is false in the first look.
using Network = std::function<Look(Pair pair, bool alone)>;

struct Outcome {
  std::vector<Suspect> suspects;
  int looks = 0;  // after the first
};

Outcome Judge(int n, const Network& network, Metric metric = Metric::kBandwidth, std::optional<double> expected = {}) {
  std::vector<std::string> names;
  std::vector<FirstLook> looks;
  for (int i = 0; i < n; ++i) names.push_back("n" + std::to_string(i));
  for (int a = 0; a < n; ++a)
    for (int b = a + 1; b < n; ++b) looks.push_back({{a, b}, "tcp", expected, network({a, b}, false)});
  BlameSearch search(metric, {}, names, looks);
  Outcome outcome;
  for (; outcome.looks < 10'000; ++outcome.looks) {
    auto pair = search.NextLook();
    if (!pair) break;
    search.Add(*pair, network(*pair, true));
  }
  outcome.suspects = search.Suspects();
  return outcome;
}

std::string Words(const Outcome& outcome) {
  std::string words;
  for (const Suspect& suspect : outcome.suspects) {
    words += suspect.what == Blame::kNode ? "node" : suspect.what == Blame::kLink ? "link" : "path";
    for (int node : suspect.nodes) words += " " + std::to_string(node);
    words += ";";
  }
  return words;
}

bool Has(Pair pair, int node) { return pair.a == node || pair.b == node; }

TEST(BlameSearch, AGoodNetworkCostsNoSecondLook) {
  const Outcome outcome = Judge(8, [](Pair, bool) { return Look{10.0, ""}; });
  EXPECT_EQ(Words(outcome), "");
  EXPECT_EQ(outcome.looks, 0);
}

TEST(BlameSearch, ASlowNode) {
  const Outcome outcome = Judge(8, [](Pair pair, bool) { return Look{Has(pair, 5) ? 3.0 : 10.0, ""}; });
  EXPECT_EQ(Words(outcome), "node 5;");
  const Suspect& suspect = outcome.suspects.front();
  EXPECT_EQ(suspect.measured, 3.0);
  EXPECT_EQ(suspect.usual, 10.0);
  EXPECT_EQ(suspect.evidence.front(), "n5 is bad with 7 of 7 partners");
  EXPECT_EQ(suspect.evidence.back(), "n5 with a good partner, n0: 3 Gb/s (bad)");
}

TEST(BlameSearch, ASlowLink) {
  const Outcome outcome = Judge(8, [](Pair pair, bool) { return Look{pair == Pair{1, 2} ? 1.0 : 10.0, ""}; });
  EXPECT_EQ(Words(outcome), "link 1 2;");
  EXPECT_EQ(outcome.looks, 3) << "once alone, and each end with a partner";
  EXPECT_EQ(outcome.suspects.front().evidence.front(),
            "n1 - n2: 1 Gb/s, 10 % of the median of its class; alone: 1 Gb/s");
}

TEST(BlameSearch, ASlowNodeAndASlowLinkAndNobodyElse) {
  for (int node = 0; node < 8; ++node)
    for (int a = 0; a < 8; ++a)
      for (int b = a + 1; b < 8; ++b) {
        const Outcome outcome = Judge(8, [&](Pair pair, bool) {
          return Look{pair == Pair{a, b} ? 1.0 : Has(pair, node) ? 3.0 : 10.0, ""};
        });
        std::string expected = "node " + std::to_string(node) + ";";
        // A link of a bad node is explained by the node.
        if (node != a && node != b) expected += "link " + std::to_string(a) + " " + std::to_string(b) + ";";
        EXPECT_EQ(Words(outcome), expected);
      }
}

TEST(BlameSearch, TwoSlowNodes) {
  const Outcome outcome = Judge(8, [](Pair pair, bool) { return Look{Has(pair, 0) || Has(pair, 7) ? 2.0 : 10.0, ""}; });
  EXPECT_EQ(Words(outcome), "node 0;node 7;");
}

TEST(BlameSearch, TwoSlowLinksOfOneNodeAreNoSlowNode) {
  const Outcome outcome = Judge(8, [](Pair pair, bool) {
    return Look{pair == Pair{1, 2} || pair == Pair{1, 3} ? 2.0 : 10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "link 1 2;link 1 3;");
}

TEST(BlameSearch, NoiseIsClearedByTheSecondLook) {
  const Outcome outcome = Judge(8, [](Pair pair, bool alone) {
    const bool noisy = !alone && (Has(pair, 3) || pair == Pair{0, 1});
    return Look{noisy ? 1.0 : 10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "");
  EXPECT_EQ(outcome.looks, 8);
}

TEST(BlameSearch, ASlowNodeAmongNoise) {
  const Outcome outcome = Judge(16, [](Pair pair, bool alone) {
    if (Has(pair, 9)) return Look{2.0, ""};
    return Look{!alone && (pair.a + pair.b) % 5 == 0 ? 4.0 : 10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "node 9;");
}

TEST(BlameSearch, ABadNodeIsNotLookedAtWithEverybody) {
  const Outcome outcome = Judge(256, [](Pair pair, bool) { return Look{Has(pair, 100) ? 2.0 : 10.0, ""}; });
  EXPECT_EQ(Words(outcome), "node 100;");
  EXPECT_LE(outcome.looks, 6);
}

TEST(BlameSearch, ManyNodesThatAreAllBadCostLittle) {
  const pace::Stopwatch watch;
  const Outcome outcome = Judge(
      256,
      [](Pair, bool) {
        return Look{3.0, ""};
      },
      Metric::kBandwidth, 10.0);
  EXPECT_TRUE(watch.Within(std::chrono::seconds(1)));
  ASSERT_EQ(outcome.suspects.size(), 1u);
  EXPECT_EQ(outcome.suspects[0].what, Blame::kPath);
  EXPECT_EQ(outcome.suspects[0].nodes.size(), 256u);
  EXPECT_LE(outcome.looks, 4 * 256);
}

TEST(BlameSearch, WhoMetManyGuiltyOnesIsNotGuilty) {
  for (Pair noise : {Pair{0, 9}, Pair{8, 9}, Pair{0, 15}}) {
    const Outcome outcome = Judge(16, [&](Pair pair, bool alone) {
      for (int slow = 1; slow <= 4; ++slow)
        if (Has(pair, slow)) return Look{2.0, ""};
      return Look{pair == noise && !alone ? 1.0 : 10.0, ""};
    });
    EXPECT_EQ(Words(outcome), "node 1;node 2;node 3;node 4;");
  }
}

TEST(BlameSearch, ANodeWithManySlowLinksIsNotBlamedForNoise) {
  const Outcome outcome = Judge(16, [](Pair pair, bool alone) {
    if (pair.a == 0 && pair.b <= 4) return Look{2.0, ""};
    return Look{pair == Pair{0, 9} && !alone ? 1.0 : 10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "link 0 1;link 0 2;link 0 3;link 0 4;");
}

TEST(BlameSearch, APairThatCannotBeLookedAtAgainIsNotBlamed) {
  std::vector<FirstLook> looks;
  for (int a = 0; a < 6; ++a)
    for (int b = a + 1; b < 6; ++b)
      looks.push_back({{a, b}, "tcp", {}, {Pair{a, b} == Pair{1, 2} || Pair{a, b} == Pair{3, 4} ? 1.0 : 10.0, ""}});
  BlameSearch search(Metric::kBandwidth, {}, std::vector<std::string>(6, "n"), looks);
  ASSERT_EQ(search.NextLook(), (Pair{1, 2}));
  search.Drop({1, 2});
  ASSERT_EQ(search.NextLook(), (Pair{3, 4}));
  search.Add({3, 4}, {1.0, ""});
  ASSERT_EQ(search.NextLook(), (Pair{0, 3})) << "a partner";
  search.Drop({0, 3});
  ASSERT_EQ(search.NextLook(), (Pair{1, 3})) << "another one";
  search.Add({1, 3}, {10.0, ""});
  ASSERT_EQ(search.NextLook(), (Pair{0, 4}));
  search.Add({0, 4}, {10.0, ""});
  EXPECT_FALSE(search.NextLook());
  const auto suspects = search.Suspects();
  ASSERT_EQ(suspects.size(), 1u);
  EXPECT_EQ(suspects[0].nodes, (std::vector<int>{3, 4}));
}

TEST(BlameSearch, ARoundTripThatFailedIsComparedWithThoseOfEveryClock) {
  std::vector<FirstLook> looks;
  for (int a = 0; a < 6; ++a)
    for (int b = a + 1; b < 6; ++b) {
      const bool failed = Pair{a, b} == Pair{1, 2};
      looks.push_back({{a, b}, "tcp", {}, failed ? Look{{}, "lost"} : Look{20.0, ""}, failed ? "" : "kernel"});
    }
  BlameSearch search(Metric::kRtt, {}, std::vector<std::string>(6, "n"), looks);
  while (auto pair = search.NextLook()) search.Add(*pair, {*pair == Pair{1, 2} ? 5000.0 : 20.0, ""});
  ASSERT_EQ(search.Suspects().size(), 1u);
  EXPECT_EQ(search.Suspects()[0].what, Blame::kLink);
}

std::vector<Pair> NotJudged(Metric metric, const std::vector<FirstLook>& looks) {
  BlameSearch search(metric, {}, {"a", "b", "c", "d"}, looks);
  while (auto pair = search.NextLook())
    for (const FirstLook& look : looks)
      if (look.pair == *pair) search.Add(*pair, look.look);
  return search.NotJudged();
}

TEST(BlameSearch, OnePairAloneIsJudgedByWhatItCouldCarryOrNotAtAll) {
  const std::vector<Pair> it = {{0, 1}}, none;
  EXPECT_EQ(NotJudged(Metric::kRtt, {{{0, 1}, "tcp", {}, {20.0, ""}}}), it);
  EXPECT_EQ(NotJudged(Metric::kBandwidth, {{{0, 1}, "tcp", {}, {9.0, ""}}}), it);
  EXPECT_EQ(NotJudged(Metric::kBandwidth, {{{0, 1}, "tcp", 10.0, {9.0, ""}}}), none);
  EXPECT_EQ(NotJudged(Metric::kBandwidth, {{{0, 1}, "tcp", {}, {{}, "no route to host"}}}), none) << "it is bad";
}

TEST(BlameSearch, WhatGaveNoFigureIsNotJudged) {
  std::vector<FirstLook> looks;
  for (Pair pair : {Pair{0, 1}, Pair{0, 2}, Pair{0, 3}, Pair{1, 2}, Pair{1, 3}, Pair{2, 3}})
    looks.push_back({pair, "tcp", {}, {10.0, ""}});
  EXPECT_EQ(NotJudged(Metric::kBandwidth, looks), std::vector<Pair>{});
  looks[1].look.value.reset();
  EXPECT_EQ(NotJudged(Metric::kBandwidth, looks), (std::vector<Pair>{{0, 2}}));
}

// Two nodes with ports of 100 Gb/s, and one with another port: each class has a node in all of its pairs.
TEST(BlameSearch, AClassOfOneNodeIsComparedWithTheFabricsOthers) {
  auto looks = [](Metric metric, double own, double others) {
    std::vector<FirstLook> made;
    for (Pair pair : {Pair{0, 1}, Pair{0, 2}, Pair{1, 2}})
      made.push_back({.pair = pair,
                      .link_class = pair.b == 2 ? "tcp" : "tcp, 100 Gb/s",
                      .expected_gbps = {},
                      .look = {pair.b == 2 ? own : others, ""},
                      .clock = metric == Metric::kRtt ? "user" : "",
                      .fabric = "tcp"});
    return made;
  };
  EXPECT_TRUE(NotJudged(Metric::kRtt, looks(Metric::kRtt, 25, 20)).empty());
  BlameSearch slow(Metric::kRtt, {}, {"a", "b", "c"}, looks(Metric::kRtt, 200, 20));
  while (auto pair = slow.NextLook()) slow.Add(*pair, {pair->b == 2 ? 200.0 : 20.0, ""});
  ASSERT_EQ(slow.Suspects().size(), 1u);
  EXPECT_EQ(slow.Suspects()[0].nodes, std::vector<int>{2});

  EXPECT_TRUE(NotJudged(Metric::kBandwidth, looks(Metric::kBandwidth, 80, 90)).empty());
  EXPECT_EQ(NotJudged(Metric::kBandwidth, looks(Metric::kBandwidth, 9, 90)), (std::vector<Pair>{{0, 2}, {1, 2}}))
      << "its port may be a slower one";
}

// User space sees a longer way than the kernel, and everybody sees full round trips.
TEST(BlameSearch, ARoundTripByAnotherClockThanAllOthersIsGoodIfItIsAsShort) {
  auto looks = [](double network, std::optional<double> full, std::optional<double> others_full) {
    std::vector<FirstLook> made;
    for (int a = 0; a < 4; ++a)
      for (int b = a + 1; b < 4; ++b) {
        const bool odd = Pair{a, b} == Pair{1, 3};
        made.push_back({.pair = {a, b},
                        .link_class = "tcp",
                        .expected_gbps = {},
                        .look = {odd ? network : 20.0, ""},
                        .clock = odd ? "user" : "kernel",
                        .fabric = "tcp",
                        .full_us = odd ? full : others_full});
      }
    return made;
  };
  EXPECT_TRUE(NotJudged(Metric::kRtt, looks(45, {}, {})).empty());
  EXPECT_TRUE(NotJudged(Metric::kRtt, looks(110, 120, 60)).empty());
  const std::vector<Pair> it = {{1, 3}};
  EXPECT_EQ(NotJudged(Metric::kRtt, looks(300, 310, 60)), it);
  EXPECT_EQ(NotJudged(Metric::kRtt, looks(300, {}, {})), it);
}

TEST(BlameSearch, ThreeNodesOfWhichOneIsSlow) {
  for (int node : {0, 1, 2}) {
    const Outcome outcome = Judge(3, [node](Pair pair, bool) { return Look{Has(pair, node) ? 1.0 : 10.0, ""}; });
    EXPECT_EQ(Words(outcome), fmt::format("node {};", node));
    EXPECT_THAT(outcome.suspects.front().evidence[1], HasSubstr("10 % of the best of its class"));
    const Outcome late = Judge(
        3,
        [node](Pair pair, bool) {
          return Look{Has(pair, node) ? 300.0 : 30.0, ""};
        },
        Metric::kRtt);
    EXPECT_EQ(Words(late), fmt::format("node {};", node));
  }
  EXPECT_EQ(Words(Judge(3, [](Pair pair, bool) { return Look{pair.a == 0 ? 10.0 : 7.0, ""}; })), "");
}

TEST(BlameSearch, ALinkThatIsAsGoodAsItsEndsWithOthersIsNoSlowOne) {
  // As on a busy host: 9.7 in the first looks, and later nobody has more than 5.7.
  EXPECT_EQ(Words(Judge(3,
                        [](Pair pair, bool alone) {
                          const bool low = pair == Pair{0, 2};
                          return Look{alone ? (low ? 4.8 : 5.5) : (low ? 4.5 : 9.7), ""};
                        })),
            "");
}

TEST(BlameSearch, ASlowLinkOfThree) {
  EXPECT_EQ(Words(Judge(3, [](Pair pair, bool) { return Look{pair == Pair{0, 2} ? 1.0 : 10.0, ""}; })), "link 0 2;");
}

TEST(BlameSearch, OfTwoNodesOneWayTellsTheOther) {
  BlameSearch search(
      Metric::kBandwidth, {}, {"a", "b"},
      {{.pair = {0, 1}, .link_class = "tcp", .expected_gbps = {}, .look = {1.0, ""}, .other_way_gbps = 10.0}});
  ASSERT_TRUE(search.NextLook());
  search.Add({0, 1}, {1.1, ""});
  ASSERT_EQ(search.Suspects().size(), 1u);
  EXPECT_EQ(search.Suspects()[0].what, Blame::kPath);
  EXPECT_THAT(search.Suspects()[0].evidence.front(), HasSubstr("1 Gb/s, and 10 Gb/s the other way"));
  EXPECT_TRUE(search.NotJudged().empty());
}

TEST(BlameSearch, FourNodesOfWhichOneIsSlow) {
  const Outcome outcome = Judge(4, [](Pair pair, bool) { return Look{Has(pair, 2) ? 3.0 : 10.0, ""}; });
  EXPECT_EQ(Words(outcome), "node 2;");
}

TEST(BlameSearch, OfTwoNodesNobodyCanTellWhichOne) {
  const Network slow = [](Pair, bool) { return Look{3.0, ""}; };
  EXPECT_EQ(Words(Judge(2, slow)), "") << "there is nothing to compare with";
  EXPECT_EQ(Words(Judge(2, slow, Metric::kBandwidth, 10.0)), "path 0 1;");
}

TEST(BlameSearch, AllBelowWhatTheyCouldCarryIsOnesOwnSuspect) {
  const Outcome outcome = Judge(
      5,
      [](Pair, bool) {
        return Look{3.0, ""};
      },
      Metric::kBandwidth, 10.0);
  EXPECT_EQ(Words(outcome), "path 0 1 2 3 4;");
  EXPECT_THAT(outcome.suspects.front().evidence.front(), HasSubstr("30 % of what it could"));
}

// One stream over fast ports: what they could carry tells nobody from the others.
TEST(BlameSearch, ASlowNodeWhereAllAreBelowWhatTheyCouldCarry) {
  const Outcome outcome = Judge(
      8,
      [](Pair pair, bool) {
        return Look{Has(pair, 5) ? 4.0 : 40.0, ""};
      },
      Metric::kBandwidth, 400.0);
  EXPECT_EQ(Words(outcome), "node 5;path 0 1 2 3 4 5 6 7;");
  EXPECT_EQ(outcome.suspects.back().measured, 40.0);
  EXPECT_EQ(outcome.suspects.back().expected, 400.0);
}

TEST(BlameSearch, HalfOfThemBelowWhatTheyCouldCarryIsNoCommonFate) {
  // The pairs without node 3 show what can be carried.
  const Outcome outcome = Judge(
      4,
      [](Pair pair, bool) {
        return Look{Has(pair, 3) ? 4.0 : 300.0, ""};
      },
      Metric::kBandwidth, 400.0);
  EXPECT_EQ(Words(outcome), "node 3;");
  const Outcome one = Judge(
      2,
      [](Pair, bool) {
        return Look{4.0, ""};
      },
      Metric::kBandwidth, 400.0);
  EXPECT_EQ(Words(one), "path 0 1;");
  EXPECT_EQ(one.looks, 1) << "one pair alone may have had a bad moment";
}

TEST(BlameSearch, AnEndThatIsBadWithTheGoodPartnerToo) {
  const Outcome outcome = Judge(6, [](Pair pair, bool alone) {
    return Look{pair == Pair{1, 2} || (alone && Has(pair, 2)) ? 2.0 : 10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "node 2;");
}

TEST(BlameSearch, HalvesThatAreCutApartBlameNoNode) {
  const Outcome outcome = Judge(
      8,
      [](Pair pair, bool) {
        return Look{(pair.a < 4) != (pair.b < 4) ? 1.0 : 10.0, ""};
      },
      Metric::kBandwidth, 10.0);
  for (const Suspect& suspect : outcome.suspects) EXPECT_NE(suspect.what, Blame::kNode) << Words(outcome);
  EXPECT_EQ(outcome.suspects.size(), 16u);
}

TEST(BlameSearch, WhatFailsIsAsBadAsCanBe) {
  const Outcome outcome = Judge(6, [](Pair pair, bool) {
    return pair == Pair{2, 4} ? Look{{}, "no route to host"} : Look{10.0, ""};
  });
  EXPECT_EQ(Words(outcome), "link 2 4;");
  EXPECT_FALSE(outcome.suspects.front().measured.has_value());
  EXPECT_EQ(outcome.suspects.front().evidence.front(), "n2 - n4: no route to host; alone: no route to host");
}

// Six nodes of which one is slow; a usual pair's round trips take `usual` us, and one in ten of them `p90`.
std::string SlowRtt(double usual, double p90, double slow) {
  std::vector<FirstLook> looks;
  for (int a = 0; a < 6; ++a)
    for (int b = a + 1; b < 6; ++b)
      looks.push_back({.pair = {a, b},
                       .link_class = "class",
                       .expected_gbps = {},
                       .look = {a == 1 || b == 1 ? slow : usual, ""},
                       .p90_us = a == 1 || b == 1 ? 2 * slow : p90});
  BlameSearch search(Metric::kRtt, {}, std::vector<std::string>(6, "n"), looks);
  while (auto pair = search.NextLook()) search.Add(*pair, {Has(*pair, 1) ? slow : usual, ""});
  return Words({search.Suspects()});
}

TEST(BlameSearch, RoundTripsNeedTheFactorAndMoreThanTheNoiseOfTheirClass) {
  EXPECT_EQ(SlowRtt(2, 4, 90), "node 1;") << "a fast fabric";
  EXPECT_EQ(SlowRtt(2, 4, 6.5), "") << "more than three times, and a few switches explain it";
  EXPECT_EQ(SlowRtt(2, 4, 5), "") << "only 2.5 times";
  EXPECT_EQ(SlowRtt(20, 25, 100), "node 1;");
  EXPECT_EQ(SlowRtt(20, 130, 100), "") << "as one in ten of any other pair's";
  EXPECT_EQ(SlowRtt(200, 300, 500), "");
  EXPECT_EQ(SlowRtt(200, 300, 700), "node 1;");
}

TEST(BlameSearch, ADeadNodeIsForgotten) {
  std::vector<FirstLook> looks;
  for (int a = 0; a < 5; ++a)
    for (int b = a + 1; b < 5; ++b) looks.push_back({{a, b}, "tcp", {}, {b == 4 ? 1.0 : 10.0, ""}});
  BlameSearch search(Metric::kBandwidth, {}, {"0", "1", "2", "3", "4"}, looks);
  ASSERT_TRUE(search.NextLook());
  search.Forget(4);
  EXPECT_FALSE(search.NextLook());
  EXPECT_TRUE(search.Suspects().empty());
}

TEST(BlameSearch, ClassesAreComparedWithinThemselves) {
  std::vector<FirstLook> looks;
  for (int a = 0; a < 8; ++a)
    for (int b = a + 1; b < 8; ++b)
      looks.push_back({{a, b}, b < 4 ? "100 Gb/s" : "10 Gb/s", {}, {b < 4 ? 90.0 : 9.0, ""}});
  BlameSearch search(Metric::kBandwidth, {}, std::vector<std::string>(8, "n"), looks);
  EXPECT_FALSE(search.NextLook());
}

nlohmann::json BandwidthRow(const std::string& from, const std::string& to, nlohmann::json gbps, int repeat = 1) {
  return {{"kind", "bw"},
          {"source", from},
          {"target", to},
          {"transport", "tcp"},
          {"repeat", repeat},
          {"bytes", 1000},
          {"bw_gbps", {{"avg", gbps}}},
          {"expected", {{"gbps", nullptr}}}};
}

std::vector<Node> Living(std::vector<std::string> names) {
  std::vector<Node> nodes;
  for (std::string& name : names) nodes.push_back({.name = name, .host = name, .alive = true});
  return nodes;
}

TEST(MatrixLooks, OfEachDirectionTheMedianOfTheRepeatsAndOfBothTheSlower) {
  std::vector<nlohmann::json> rows;
  for (double gbps : {9.0, 1.0, 8.0}) rows.push_back(BandwidthRow("a", "b", gbps));
  for (double gbps : {5.0, 6.0, 99.0}) rows.push_back(BandwidthRow("b", "a", gbps));
  const auto looks = LooksOf(rows, Living({"a", "b"}), "tcp", Metric::kBandwidth);
  ASSERT_EQ(looks.size(), 1u);
  EXPECT_EQ(looks[0].look.value, 6.0);
  EXPECT_EQ(looks[0].other_way_gbps, 8.0);
}

TEST(MatrixLooks, NoByteAndLostPingsAreFailuresAndNoFigureIsKept) {
  auto none = BandwidthRow("a", "b", nullptr);
  auto look = LooksOf({none}, Living({"a", "b"}), "tcp", Metric::kBandwidth).at(0).look;
  EXPECT_FALSE(look.value || !look.failure.empty()) << "too little for a figure";
  none["bytes"] = 0;
  look = LooksOf({none, BandwidthRow("b", "a", 9)}, Living({"a", "b"}), "tcp", Metric::kBandwidth).at(0).look;
  EXPECT_FALSE(look.value);
  EXPECT_EQ(look.failure, "no byte arrived");

  nlohmann::json ping = {{"kind", "ping"},
                         {"source", "a"},
                         {"target", "b"},
                         {"transport", "tcp"},
                         {"samples", 199},
                         {"lost", 1},
                         {"network_rtt_us", {{"p50", 20}, {"p90", 30}}}};
  const auto good = LooksOf({ping}, Living({"a", "b"}), "tcp", Metric::kRtt).at(0);
  EXPECT_EQ(good.look.value, 20);
  EXPECT_EQ(good.p90_us, 30);
  ping["lost"] = 5;
  EXPECT_EQ(LooksOf({ping}, Living({"a", "b"}), "tcp", Metric::kRtt).at(0).look.failure, "5 of 204 pings lost");
}

TEST(MatrixNodes, OfTheClustersAnswer) {
  auto nodes = NodesOfTopology(nlohmann::json::parse(R"({"result":true,"data":{"result":{"nodes":[
      {"address":"10.0.0.1","alive":true,"door":{"address":"10.1.0.1","port":7}},
      {"address":"10.0.0.2","alive":true,"door":null,"reason":"no engine"},
      {"address":"10.0.0.3","alive":false,"door":null}]}}})"));
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_EQ(nodes->size(), 2u);
  EXPECT_EQ((*nodes)[0].name, "10.0.0.1:7") << "the node's address, and the door's port";
  EXPECT_EQ((*nodes)[0].address, "10.0.0.1");
  EXPECT_TRUE((*nodes)[1].address.empty());
  EXPECT_NE((*nodes)[1].reason.find("no engine"), std::string::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(NodesOfTopology(nlohmann::json::parse("[1]")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      NodesOfTopology(nlohmann::json::parse(R"({"data":{"result":{"nodes":[{"alive":3}]}}})")).status()));
}

// A head that answers nonsense, or one that is none.
TEST(MatrixNodes, ADoorWithoutAPortIsNone) {
  for (const char* port : {"0", "65536", "84126", "-1", "1e30", "18590.5", "\"18590\"", "null"}) {
    const auto nodes = NodesOfTopology(nlohmann::json::parse(
        absl::StrCat(R"({"data":{"result":{"nodes":[{"address":"10.0.0.1","door":{"port":)", port, "}}]}}}")));
    ASSERT_TRUE(nodes.ok()) << port << ": " << nodes.status();
    ASSERT_EQ(nodes->size(), 1u);
    EXPECT_NE(nodes->front().reason, "") << port;
  }
}

// Each took a thread of its own, and the one too many ended the program.
TEST(MatrixNodes, AnyNumberOfThemIsResolved) {
  nlohmann::json answer;
  auto& nodes = answer["data"]["result"]["nodes"];
  for (int i = 0; i < 60'000; ++i)
    nodes.push_back({{"address", absl::StrCat("127.0.", i / 256, ".", i % 256)}, {"door", {{"port", 1}}}});
  const auto found = NodesOfTopology(answer);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 60'000u);
  for (const Node& node : *found) ASSERT_EQ(node.address, node.host);
}

TEST(MatrixNodes, EachOnceAndWithTheUsualPort) {
  auto nodes = FindNodes(
      {.hosts = {"127.0.0.1", "127.0.0.1:18590", "127.0.0.2:7", "[::1]"}, .hosts_file = "", .cluster = "", .token = ""},
      {});
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_EQ(nodes->size(), 3u);
  EXPECT_EQ((*nodes)[0].name, "127.0.0.1:18590");
  EXPECT_EQ((*nodes)[1].name, "127.0.0.2:7");
  EXPECT_EQ((*nodes)[2].name, "[::1]:18590");
}

nlohmann::json SuspectOf(const char* what, std::vector<std::string> nodes, const char* metric) {
  return {{"what", what}, {"nodes", nodes}, {"transport", "tcp"}, {"metric", metric}, {"evidence", {what}}};
}

TEST(MatrixSuspects, OneACause) {
  nlohmann::json suspects = nlohmann::json::array();
  MergeSuspect(SuspectOf("link", {"a", "b"}, "bw"), &suspects);
  MergeSuspect(SuspectOf("path", {"a", "c"}, "bw"), &suspects);
  MergeSuspect(SuspectOf("link", {"c", "d"}, "bw"), &suspects);
  MergeSuspect(SuspectOf("node", {"a"}, "rtt"), &suspects);  // explains the link, and nobody knows of the path
  MergeSuspect(SuspectOf("link", {"c", "d"}, "rtt"), &suspects);
  ASSERT_EQ(suspects.size(), 3u) << suspects;
  EXPECT_EQ(suspects[0]["what"], "path");
  EXPECT_EQ(suspects[1]["evidence"], (std::vector<std::string>{"link", "tcp, round trip: link"}));
  EXPECT_EQ(suspects[2]["what"], "node");
  EXPECT_EQ(suspects[2]["evidence"], (std::vector<std::string>{"node", "tcp, bandwidth: link"}));
}

}  // namespace
}  // namespace netsense::matrix
