#include "bench/compare/compare.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>

#include "absl/strings/str_cat.h"
#include "scratch_folder.h"

namespace netsense {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

Json Ping(double p50, int repeat = 1, const std::string& target = "b:1") {
  const Json distribution = {{"p50", p50}, {"p99", 3 * p50}};
  return {{"kind", "ping"},   {"source", "a"},
          {"target", target}, {"transport", "tcp"},
          {"mode", "stream"}, {"payload_bytes", 64},
          {"repeat", repeat}, {"rtt_us", distribution},
          {"samples", 1000},  {"network_rtt_us", distribution},
          {"lost", 0}};
}

Json Bandwidth(double gbps, int repeat = 1) {
  return {{"kind", "bw"},           {"source", "a"},
          {"target", "b:1"},        {"transport", "tcp"},
          {"direction", "to_peer"}, {"message_bytes", 1 << 20},
          {"repeat", repeat},       {"bw_gbps", {{"avg", gbps}}}};
}

Json Failure(Json row) {
  row.erase("bw_gbps");
  row.erase("rtt_us");
  row.erase("network_rtt_us");
  row["error"] = {{"code", "UNAVAILABLE"}, {"message", "connection refused"}};
  return row;
}

ResultFile File(std::vector<Json> rows) {
  return {"file.json", {{"schema_version", 1}, {"results", std::move(rows)}}, ""};
}

Difference One(const ResultFile& a, const ResultFile& b, const NoiseRule& rule = {}) {
  auto comparison = Compare(a, b, rule);
  EXPECT_TRUE(comparison.ok()) << comparison.status();
  EXPECT_EQ(comparison->rows.size(), 1u);
  return comparison->rows.at(0);
}

ResultFile Pings(std::vector<double> values) {
  std::vector<Json> rows;
  for (size_t i = 0; i < values.size(); ++i) rows.push_back(Ping(values[i], static_cast<int>(i) + 1));
  return File(rows);
}

ResultFile Bandwidths(std::vector<double> values) {
  std::vector<Json> rows;
  for (size_t i = 0; i < values.size(); ++i) rows.push_back(Bandwidth(values[i], static_cast<int>(i) + 1));
  return File(rows);
}

// 200 measurements of 5 repeats each, with normal noise from run to run.
ResultFile Sweep(double factor, double noise, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Json> rows;
  for (int i = 0; i < 100; ++i)
    for (int repeat = 1; repeat <= 5; ++repeat) {
      std::normal_distribution<double> around(1, noise);
      Json ping = Ping(20 * factor * around(random), repeat), bw = Bandwidth(40 / factor * around(random), repeat);
      ping["payload_bytes"] = bw["message_bytes"] = i;
      rows.push_back(ping);
      rows.push_back(bw);
    }
  return File(rows);
}

TEST(Compare, FindsAPlantedTenPercentInEveryRow) {
  auto comparison = Compare(Sweep(1, 0.01, 1), Sweep(1.1, 0.01, 2), {});
  ASSERT_TRUE(comparison.ok());
  EXPECT_EQ(comparison->rows.size(), 200u);
  EXPECT_EQ(comparison->Count(Verdict::kSlower), 200u);
  EXPECT_TRUE(comparison->AnythingWorse());
}

TEST(Compare, FindsMostOfAPlantedTenPercentUnderNoise) {
  auto comparison = Compare(Sweep(1, 0.02, 3), Sweep(1.1, 0.02, 4), {});
  ASSERT_TRUE(comparison.ok());
  EXPECT_GT(comparison->Count(Verdict::kSlower), 180u);
  EXPECT_EQ(comparison->Count(Verdict::kFaster), 0u);
}

TEST(Compare, IsSilentOnTwoRunsOfTheSame) {
  for (unsigned seed = 10; seed < 20; ++seed) {
    auto comparison = Compare(Sweep(1, 0.02, seed), Sweep(1, 0.02, seed + 100), {});
    ASSERT_TRUE(comparison.ok());
    EXPECT_EQ(comparison->Count(Verdict::kSame), 200u) << seed;
    EXPECT_FALSE(comparison->AnythingWorse());
  }
}

TEST(Compare, NeverCallsItselfSlower) {
  const ResultFile file = Sweep(1, 0.3, 5);
  EXPECT_EQ(Compare(file, file, {})->Count(Verdict::kSame), 200u);
}

TEST(Compare, TheDirectionOfBetterDiffers) {
  EXPECT_EQ(One(Pings({10, 10.1, 10.2}), Pings({12, 12.1, 12.2})).verdict, Verdict::kSlower);
  EXPECT_EQ(One(Pings({12, 12.1, 12.2}), Pings({10, 10.1, 10.2})).verdict, Verdict::kFaster);
  EXPECT_EQ(One(Bandwidths({10, 10.1, 10.2}), Bandwidths({12, 12.1, 12.2})).verdict, Verdict::kFaster);
  EXPECT_EQ(One(Bandwidths({12, 12.1, 12.2}), Bandwidths({10, 10.1, 10.2})).verdict, Verdict::kSlower);
}

TEST(Compare, RepeatsThatOverlapAreNoise) {
  const Difference row = One(Pings({10, 12, 15, 11, 13}), Pings({14, 16, 15, 17, 14.5}));
  EXPECT_EQ(row.verdict, Verdict::kSame);
  EXPECT_TRUE(row.noise_known);
  EXPECT_NEAR(*row.change_percent, 25, 0.01);
}

TEST(Compare, ThreeRepeatsMustLieFurtherApartThanFive) {
  EXPECT_EQ(One(Pings({10, 10.2, 10.4}), Pings({10.8, 11, 11.2})).verdict, Verdict::kSlower);
  EXPECT_EQ(One(Pings({10, 10.2, 10.6}), Pings({10.8, 11, 11.4})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Pings({10, 10.1, 10.2, 10.4, 10.6}), Pings({10.8, 10.9, 11, 11.2, 11.4})).verdict, Verdict::kSlower);
}

TEST(Compare, TheThresholdIsTheUsers) {
  EXPECT_EQ(One(Pings({10, 10, 10}), Pings({10.4, 10.4, 10.4})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Pings({10, 10, 10}), Pings({10.4, 10.4, 10.4}), {.threshold_percent = 3}).verdict, Verdict::kSlower);
}

TEST(Compare, WithFewRepeatsOnlyMuchCounts) {
  EXPECT_EQ(One(Pings({10}), Pings({12.4})).verdict, Verdict::kSame);
  EXPECT_FALSE(One(Pings({10}), Pings({12.4})).noise_known);
  EXPECT_EQ(One(Pings({100, 100}), Pings({126, 126})).verdict, Verdict::kSlower);
  EXPECT_EQ(One(Pings({100, 100}), Pings({124, 124})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Bandwidths({10}), Bandwidths({8.6})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Bandwidths({10}), Bandwidths({8.4})).verdict, Verdict::kSlower);
  EXPECT_THAT(ComparisonTable(*Compare(Pings({10}), Pings({12.4}), {}), {}, false), HasSubstr("--repeat 5"));
}

TEST(Compare, WithFewRepeatsMicrosecondsCountOnlyWhereTheyAreMany) {
  EXPECT_EQ(One(Pings({10}), Pings({15})).verdict, Verdict::kSame) << "two healthy runs over tcp";
  EXPECT_EQ(One(Pings({15}), Pings({10})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Pings({2}), Pings({3.5})).verdict, Verdict::kSame);
  EXPECT_EQ(One(Pings({2}), Pings({9})).verdict, Verdict::kSlower);
  EXPECT_EQ(One(Pings({9}), Pings({2})).verdict, Verdict::kFaster);
  EXPECT_EQ(One(Pings({100}), Pings({150})).verdict, Verdict::kSlower);
  Json wide = Ping(100);
  wide["network_rtt_us"]["p90"] = 170;
  EXPECT_EQ(One(File({wide}), Pings({150})).verdict, Verdict::kSame) << "as one in ten of A's own";
}

// All pairs of `nodes` in both directions, of which those that `slow` names carry a tenth in B; the noise from run to
// run has heavy tails.
ResultFile Pairs(int nodes, double noise, unsigned seed, const std::function<bool(int, int)>& slow = {},
                 int repeats = 1, double within = 0) {
  std::mt19937 random(seed);
  std::student_t_distribution<double> around(6);
  std::normal_distribution<double> normal(0, within);
  std::vector<Json> rows;
  for (int a = 0; a < nodes; ++a)
    for (int b = 0; b < nodes; ++b) {
      if (a == b) continue;
      const double of_run = noise * around(random);
      for (int repeat = 1; repeat <= repeats; ++repeat) {
        Json row = Bandwidth((slow && slow(a, b) ? 4 : 40) * std::exp(of_run + normal(random)), repeat);
        row["source"] = absl::StrCat("n", a);
        row["target"] = absl::StrCat("n", b);
        rows.push_back(std::move(row));
      }
    }
  return File(rows);
}

TEST(Compare, OfThousandsOfRowsNoneIsSlowerByChance) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    auto comparison = Compare(Pairs(50, 0.08, seed), Pairs(50, 0.08, seed + 100), {});
    ASSERT_TRUE(comparison.ok());
    EXPECT_EQ(comparison->rows.size(), 2450u);
    EXPECT_LE(comparison->Count(Verdict::kSlower), 1u) << seed;
  }
}

// As over tcp between namespaces: most pairs take 8 us each time, and one in six in either run some ten times as long.
TEST(Compare, NoiseWithHeavyTailsOnBothSidesIsNoise) {
  std::mt19937 random(3);
  auto run = [&random] {
    std::vector<Json> rows;
    for (int i = 0; i < 60; ++i) {
      const bool moved = random() % 6 == 0;
      Json row = Ping((moved ? 40.0 + static_cast<double>(random() % 50) : 8.0) *
                      (1 + 0.001 * static_cast<double>(random() % 20)));
      row["source"] = absl::StrCat("n", i);
      rows.push_back(std::move(row));
    }
    return File(rows);
  };
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Compare(run(), run(), {})->AnythingWorse());
}

TEST(Compare, RepeatsDoNotKnowWhatChangedBetweenTheRuns) {
  size_t slower = 0;
  for (unsigned seed = 1; seed <= 5; ++seed)
    slower += Compare(Pairs(30, 0.05, seed, {}, 3, 0.005), Pairs(30, 0.05, seed + 100, {}, 3, 0.005), {})
                  ->Count(Verdict::kSlower);
  EXPECT_LE(slower, 1u);
}

TEST(Compare, AmongThousandsOfRowsOneSlowLinkIsFound) {
  for (int repeats : {1, 3}) {
    auto slow = [](int a, int b) { return a == 7 && b == 9; };
    auto comparison = Compare(Pairs(50, 0.05, 1, {}, repeats), Pairs(50, 0.05, 2, slow, repeats), {});
    std::vector<std::string> found;
    for (const Difference& row : comparison->rows)
      if (row.verdict == Verdict::kSlower)
        found.push_back(row.identity["source"].get<std::string>() + row.identity["target"].get<std::string>());
    EXPECT_EQ(found, std::vector<std::string>{"n7n9"}) << repeats;
  }
}

TEST(Compare, HowManyAreSlowHidesNoneOfThem) {
  for (int nodes : {1, 2, 4, 6, 8}) {  // of eight: a quarter of the rows, half of them, most of them, all
    auto slow = [nodes](int a, int b) { return a < nodes || b < nodes; };
    const size_t expected = static_cast<size_t>(56 - (8 - nodes) * (7 - nodes));
    EXPECT_EQ(Compare(Pairs(8, 0.03, 1), Pairs(8, 0.03, 2, slow), {})->Count(Verdict::kSlower), expected) << nodes;
    EXPECT_EQ(Compare(Pairs(8, 0.03, 1, {}, 3, 0.01), Pairs(8, 0.03, 2, slow, 3, 0.01), {})->Count(Verdict::kSlower),
              expected)
        << nodes;
  }
}

TEST(Noise, StudentsTableOfFivePercent) {
  const std::pair<int, double> table[] = {{1, 12.706}, {2, 4.303}, {3, 3.182}, {4, 2.776}, {8, 2.306}, {30, 2.042}};
  for (const auto& [freedom, t] : table) EXPECT_NEAR(StudentP(t, freedom), 0.05, 1e-4) << freedom;
  EXPECT_EQ(StudentP(0, 5), 1);
  EXPECT_EQ(StudentP(3, 7), StudentP(-3, 7));
}

// The example of their paper (thrombolysis after a heart attack): four of fifteen.
TEST(Noise, BenjaminiAndHochbergsExample) {
  const std::vector<double> p = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000};
  std::vector<bool> expected(15);
  for (size_t i = 0; i < 4; ++i) expected[i] = true;
  EXPECT_EQ(Discoveries(p, 0.05), expected);
  EXPECT_EQ(Discoveries({0.9, 0.04, 0.02}, 0.05), (std::vector<bool>{false, false, false}));
  EXPECT_EQ(Discoveries({0.9, 0.03, 0.03}, 0.05), (std::vector<bool>{false, true, true})) << "two of three";
  EXPECT_TRUE(Discoveries({}, 0.05).empty());
}

TEST(Noise, SpreadsAndErrorsAreThoseOfANormalDistribution) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(5, 2);
  std::vector<double> values(20000);
  for (double& value : values) value = normal(random);
  EXPECT_NEAR(SpreadOfHalf(values), 2, 0.1);
  for (size_t i = 0; i < 9000; ++i) values[i] += 1000;
  EXPECT_LT(SpreadOfHalf(values), 3 * 2) << "less than half of them are elsewhere";
  for (double& value : values) value = normal(random) - 5;
  EXPECT_NEAR(SpreadOfTails(values), 2, 0.1);
  for (size_t i = 0; i < 9000; ++i) values[i] += 1000;
  EXPECT_NEAR(SpreadOfTails(values), 2, 0.5) << "what changed went one way";
  EXPECT_EQ(SpreadOfTails({1, 2, 3}), 0);
  for (size_t n : {3u, 5u, 9u, 20u}) {  // the median's error over that of many samples of n
    std::vector<double> medians;
    double errors = 0;
    for (int i = 0; i < 4000; ++i) {
      std::vector<double> sample(n);
      for (double& value : sample) value = normal(random);
      std::sort(sample.begin(), sample.end());
      errors += *MedianError(sample) / 4000;
      medians.push_back(sample[n / 2]);
    }
    double squares = 0;
    for (double median : medians) squares += (median - 5) * (median - 5) / 4000;
    EXPECT_NEAR(errors / std::sqrt(squares), 1.1, 0.2) << n;
  }
  EXPECT_FALSE(MedianError({1.0}));
}

TEST(Compare, OneOutlierOfManyRepeatsHidesNothing) {
  EXPECT_EQ(One(Pings({10, 10, 10, 10, 10, 10, 10, 10, 30}), Pings({11, 11, 11, 11, 11, 11, 11, 11, 9})).verdict,
            Verdict::kSlower);
}

TEST(Compare, TheIntervalHoldsTheMedianWith95Percent) {
  auto interval = [](size_t n) {
    std::vector<double> values;
    for (size_t i = 1; i <= n; ++i) values.push_back(static_cast<double>(i));
    const Interval found = MedianInterval(values);
    return std::pair(found.low, found.high);
  };
  EXPECT_EQ(interval(1), std::pair(1.0, 1.0));
  EXPECT_EQ(interval(5), std::pair(1.0, 5.0));
  EXPECT_EQ(interval(8), std::pair(1.0, 8.0));
  EXPECT_EQ(interval(9), std::pair(2.0, 8.0));
  EXPECT_EQ(interval(12), std::pair(3.0, 10.0));
  EXPECT_EQ(interval(20), std::pair(6.0, 15.0));
  // 0.5 to that power is less than a double can hold.
  EXPECT_EQ(interval(2000), std::pair(956.0, 1045.0));
}

TEST(Compare, WhatARunThatGoesOnMeasuredAgainHasNotFailed) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/run.jsonl";
  const Json head = {{"schema_version", 1}, {"command", "matrix"}};
  std::ofstream file(path);
  for (const Json& line : {head, Failure(Ping(0)), Failure(Bandwidth(0)), Json{{"interrupted", true}}, head, Ping(10),
                           Failure(Bandwidth(0))})
    file << line.dump() << "\n";
  file.close();
  auto read = ReadResultFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  const Json& rows = read->document["results"];
  ASSERT_EQ(rows.size(), 3u) << rows;  // the ping, and the stream that failed twice
  EXPECT_EQ(rows[0]["kind"], "bw");
  EXPECT_EQ(rows[1]["kind"], "ping");
  EXPECT_FALSE(rows[1].contains("error"));
}

TEST(Compare, WhatIsMissingOrFailedIsNamed) {
  const ResultFile both = File({Ping(10), Bandwidth(10)});
  auto missing = Compare(both, File({Ping(10)}), {});
  EXPECT_EQ(missing->rows.at(1).verdict, Verdict::kMissingInB);
  EXPECT_FALSE(missing->AnythingWorse());
  EXPECT_EQ(Compare(File({Ping(10)}), both, {})->rows.at(1).verdict, Verdict::kMissingInA);

  auto failed = Compare(both, File({Ping(10), Failure(Bandwidth(0))}), {});
  EXPECT_EQ(failed->rows.at(1).verdict, Verdict::kFailedInB);
  EXPECT_THAT(failed->rows.at(1).note, HasSubstr("connection refused"));
  EXPECT_TRUE(failed->AnythingWorse());
  auto mended = Compare(File({Ping(10), Failure(Bandwidth(0))}), both, {});
  EXPECT_EQ(mended->rows.at(1).verdict, Verdict::kFailedInA);
  EXPECT_FALSE(mended->AnythingWorse());
}

TEST(Compare, OneFailedRepeatIsAFailure) {
  const Difference row =
      One(Bandwidths({10, 10, 10}), File({Bandwidth(10, 1), Bandwidth(10, 2), Failure(Bandwidth(0, 3))}));
  EXPECT_EQ(row.verdict, Verdict::kFailedInB);
  EXPECT_THAT(row.note, HasSubstr("1 of 3"));
}

TEST(Compare, AFailureThatKnowsNoModeIsOneOfWhatItCouldBe) {
  Json failure = Failure(Ping(0, 3));
  failure["mode"] = "";
  failure["payload_bytes"] = nullptr;
  const Difference row = One(Pings({10, 10, 10}), File({Ping(10, 1), Ping(10, 2), failure}));
  EXPECT_EQ(row.verdict, Verdict::kFailedInB);
  EXPECT_EQ(One(Pings({10, 10, 10}), File({failure})).verdict, Verdict::kFailedInB);
  failure["transport"] = "grpc";
  auto other = Compare(Pings({10}), File({Ping(10), failure}), {});
  ASSERT_EQ(other->rows.size(), 2u);
  EXPECT_EQ(other->rows[1].verdict, Verdict::kMissingInA);
}

TEST(Compare, WhatADeadNodeDoesNotMeasureFailed) {
  const ResultFile a = File({Ping(10), Ping(10, 1, "c:1"), Ping(10, 1, "d:1")});
  ResultFile b = File({Ping(10)});
  b.document["nodes"] = {{{"name", "a"}, {"alive", true}},
                         {{"name", "c:1"}, {"alive", false}, {"reason", "timed out"}},
                         {{"name", "e:1"}, {"alive", false}}};
  auto died = Compare(a, b, {});
  ASSERT_EQ(died->rows.size(), 3u);
  EXPECT_EQ(died->rows[1].verdict, Verdict::kFailedInB);
  EXPECT_THAT(died->rows[1].note, HasSubstr("c:1 is dead: timed out"));
  EXPECT_EQ(died->rows[2].verdict, Verdict::kMissingInB);
  EXPECT_TRUE(died->AnythingWorse());
  auto revived = Compare(b, a, {});
  EXPECT_EQ(revived->Count(Verdict::kFailedInA), 1u);
  EXPECT_FALSE(revived->AnythingWorse());

  // Not one row is left where one of two nodes is dead.
  ResultFile none = File({});
  none.document["nodes"] = {{{"name", "b:1"}, {"alive", false}, {"reason", "timed out"}}};
  EXPECT_EQ(One(File({Ping(10)}), none).verdict, Verdict::kFailedInB);
}

TEST(Compare, LostPingsAreSlower) {
  Json lossy = Ping(10);
  lossy["samples"] = 900;
  lossy["lost"] = 100;
  EXPECT_EQ(One(File({Ping(10)}), File({lossy})).verdict, Verdict::kSlower);
  EXPECT_EQ(One(File({lossy}), File({Ping(10)})).verdict, Verdict::kSame);
}

TEST(Compare, LikeIsComparedWithLike) {
  Json without = Ping(30);
  without["network_rtt_us"] = nullptr;
  Json with = Ping(30);
  with["network_rtt_us"]["p50"] = 10;
  const Difference row = One(File({with}), File({without}));
  EXPECT_EQ(row.metric, "rtt_us.p50");
  EXPECT_EQ(row.verdict, Verdict::kSame);
  EXPECT_EQ(One(File({with}), File({with})).metric, "network_rtt_us.p50");

  Json blocking = Ping(10);
  blocking["wait_mode"] = {{"prober", "block"}, {"responder", "block"}};
  EXPECT_THAT(One(File({Ping(10)}), File({blocking})).note, HasSubstr("measured differently"));
}

TEST(Compare, FiguresOfDifferentClocksAreNotComparedWithEachOther) {
  auto by = [](const char* clock, double network) {
    Json row = Ping(30);
    row["timestamp_source"] = clock;
    row["network_rtt_us"]["p50"] = network;
    return File({row});
  };
  const Difference row = One(by("kernel", 10), by("user", 28));
  EXPECT_EQ(row.metric, "rtt_us.p50");
  EXPECT_EQ(row.verdict, Verdict::kSame);
  EXPECT_THAT(row.note, HasSubstr("different clocks (kernel, user)"));
  EXPECT_EQ(One(by("kernel", 10), by("kernel", 28)).verdict, Verdict::kSlower);
}

TEST(Compare, NothingInCommonIsAnError) {
  const ResultFile a = File({Ping(10)}), b = File({Ping(10, 1, "c:1")});
  EXPECT_THAT(std::string(Compare(a, b, {}).status().message()), HasSubstr("no measurement in common"));
  EXPECT_EQ(Compare(a, b, {}, {"target"})->rows.at(0).verdict, Verdict::kSame);
  EXPECT_FALSE(Compare(a, b, {}, {"colour"}).ok());
}

TEST(Compare, ScriptsGetTheRuleAndTheRows) {
  const ResultFile a = Pings({10, 10, 10}), b = Pings({12, 12, 12});
  const Json json = ComparisonJson(*Compare(a, b, {}), {}, a, b);
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["rule"]["threshold_percent"], 5);
  EXPECT_EQ(json["summary"]["slower"], 1);
  EXPECT_EQ(json["rows"][0]["verdict"], "slower");
  EXPECT_EQ(json["rows"][0]["a"]["repeats"], 3);
  EXPECT_EQ(json["rows"][0]["identity"]["target"], "b:1");
}

TEST(Compare, NamesSteerNoTerminal) {
  const ResultFile file = File({Ping(10, 1, "\x1b[2Jevil")});
  EXPECT_THAT(ComparisonTable(*Compare(file, file, {}), {}, true), testing::Not(HasSubstr("\x1b")));
}

// --- the reader ---

class ReadResult : public testing::Test {
 protected:
  absl::StatusOr<ResultFile> Read(const std::string& text, const RowFilter& filter = {}) {
    const std::string path = folder_.At("result");
    std::ofstream(path) << text;
    return ReadResultFile(path, filter);
  }
  std::string Refusal(const std::string& text) {
    auto file = Read(text);
    EXPECT_TRUE(absl::IsInvalidArgument(file.status())) << file.status();
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(folder_.At("result")));
    return std::string(file.status().message());
  }
  ScratchFolder folder_;
};

TEST_F(ReadResult, DocumentsAndLinesAlike) {
  const Json row = Ping(10);
  const std::string head = R"({"schema_version":1,"command":"ping"})";
  const Json document = {{"schema_version", 1}, {"command", "ping"}, {"results", {row, row}}};
  EXPECT_EQ(Read(document.dump())->document, document);
  EXPECT_EQ(Read(document.dump(2))->document, document);
  EXPECT_EQ(Read(head + "\n" + row.dump() + "\n" + row.dump() + "\n")->document, document);
  EXPECT_EQ(Read(head)->document["results"].size(), 0u);
}

TEST_F(ReadResult, WhatIsKnownAtTheEndJoinsTheHead) {
  auto file = Read("{\"schema_version\":1}\n" + Ping(10).dump() + "\n{\"suspects\":[1]}\n");
  EXPECT_EQ(file->document["suspects"], Json({1}));
  EXPECT_EQ(file->document["results"].size(), 1u);
}

TEST_F(ReadResult, ANewHeadForgetsTheEndOfTheRunBefore) {
  auto file = Read("{\"schema_version\":1,\"plan\":1}\n" + Ping(10).dump() +
                   "\n{\"suspects\":[],\"judged\":true,\"ended_at_ms\":5}\n" + "{\"schema_version\":1,\"plan\":2}\n" +
                   Ping(11).dump() + "\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->document["results"].size(), 2u);
  EXPECT_EQ(file->document["plan"], 2);
  for (const char* end : {"suspects", "judged", "ended_at_ms"}) EXPECT_FALSE(file->document.contains(end)) << end;
}

TEST_F(ReadResult, ALineThatIsCutOffEndsTheFile) {
  auto file = Read("{\"schema_version\":1}\n" + Ping(10).dump() + "\n" + Ping(11).dump().substr(0, 50));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->document["results"].size(), 1u);
  EXPECT_THAT(file->note, HasSubstr("Line 3 is cut off"));
}

TEST_F(ReadResult, EachRowPassesTheFilter) {
  auto drop = [](Json& row) { row = {{"kind", row["kind"]}}; };
  const Json small = {{{"kind", "ping"}}};
  const Json document = {{"nodes", {{{"name", "n"}}}}, {"schema_version", 1}, {"results", {Ping(1)}}};
  auto file = Read(document.dump(), drop);
  EXPECT_EQ(file->document["results"], small);
  EXPECT_EQ(file->document["nodes"], document["nodes"]);
  EXPECT_EQ(Read("{\"schema_version\":1}\n" + Ping(1).dump() + "\n", drop)->document["results"], small);
}

TEST_F(ReadResult, SaysWhatIsWrong) {
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("hello"), HasSubstr("is no JSON"));
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"results\":[{]}"), HasSubstr("line 1"));
  EXPECT_THAT(Refusal("[1]"), HasSubstr("no JSON object"));
  EXPECT_THAT(Refusal("{\"a\":1}"), HasSubstr("schema_version"));
  EXPECT_THAT(Refusal("{\"schema_version\":2,\"results\":[]}"), HasSubstr("schema version 2"));
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"results\":7}"), HasSubstr("`results`"));
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"results\":[{\"kind\":\"ping\"},{}]}"), HasSubstr("row 2 has no `kind`"));
  EXPECT_THAT(Refusal("{\"schema_version\":1}\n{\"kind\":\n{\"kind\":\"ping\"}\n"), HasSubstr("line 2"));
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"results\":" + std::string(200000, '[')), HasSubstr("too deeply"));
  // A head is read before anything is known of it, and is copied and written.
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"x\":" + deep + "}\n{\"kind\":\"ping\"}\n"), HasSubstr("too deeply"));
  EXPECT_THAT(Refusal("{\"schema_version\":1,\n\"results\":[\n{\"kind\":\"ping\",\"v\":1e999}]}"),
              AllOf(HasSubstr("1e999"), HasSubstr("line 3")));
  EXPECT_THAT(Refusal("{\"schema_version\":1}\n{\"kind\":\"ping\",\"v\":1e999}"),
              AllOf(HasSubstr("1e999"), HasSubstr("line 2")))
      << "the last line, and not cut off";
  EXPECT_THAT(Refusal("{\"schema_version\":1,\"v\":1e999}\n{\"kind\":\"ping\"}\n"), HasSubstr("1e999"));
  EXPECT_TRUE(absl::IsNotFound(ReadResultFile(folder_.At("none")).status()));
  EXPECT_THAT(std::string(ReadResultFile(folder_.path()).status().message()), HasSubstr("is a folder"));
}

TEST_F(ReadResult, OddTypesAreNoFigures) {
  auto file =
      Read(R"({"schema_version":1,"results":[{"kind":"ping","rtt_us":{"p50":"fast"}},{"kind":"ping","rtt_us":3}]})");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Compare(*file, *file, {})->rows.at(0).verdict, Verdict::kFailedInBoth);
}

}  // namespace
}  // namespace netsense
