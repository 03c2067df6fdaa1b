// The state of a path's bandwidth: measured, failed, not known; and how long the next stream must be.
#include "engine/bandwidth_record.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kPlanned = 1 << 20, kMost = 64 << 20;

class BandwidthRecordTest : public testing::Test {
 protected:
  BandwidthRecordTest() { Configure(6); }

  // A round of so many seconds; 0 = switched off.
  void Configure(uint32_t slots) {
    v1::PlannedPath path;
    path.set_bandwidth_slots(slots);
    path.set_bandwidth_slot_ms(1000);
    record.Configure(3, 0.3, path);
  }
  void Measure(std::chrono::nanoseconds elapsed = milliseconds(8), uint32_t receipts = 64, uint64_t bytes = 1'000'000) {
    StreamSample sample;
    sample.bytes = sample.bytes_in_elapsed = bytes;
    sample.elapsed = elapsed;
    sample.receipts = receipts;
    record.Tried(record.NextBytes(kPlanned, kMost));
    record.Measured(sample, now);
  }
  void Fail(int times, const absl::Status& status = absl::DeadlineExceededError("the stream stalls")) {
    for (int i = 0; i < times; ++i) record.Failed(status, "", now += seconds(6));
  }
  v1::PathResult Result() const {
    v1::PathResult result;
    record.Summarize(now, &result);
    return result;
  }

  MonotonicTime now = MonotonicNow();
  BandwidthRecord record;
};

TEST_F(BandwidthRecordTest, IsNotKnownUntilMeasured) {
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(Result().bandwidth_reason(), "not measured yet");
  Measure();
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED);
  EXPECT_DOUBLE_EQ(Result().bandwidth().p50(), 1e9);
  EXPECT_EQ(Result().bandwidth_reason(), "");
}

TEST_F(BandwidthRecordTest, TheBestOfTheLastProbesStandsBesideTheMedian) {
  Measure();
  for (size_t i = 1; i < BandwidthRecord::kRecent; ++i) Measure(milliseconds(16));
  EXPECT_DOUBLE_EQ(Result().bandwidth().p50(), 0.5e9);
  EXPECT_DOUBLE_EQ(Result().bandwidth().best(), 1e9);
  Measure(milliseconds(16));
  EXPECT_DOUBLE_EQ(Result().bandwidth().best(), 0.5e9) << "the fast one is too long ago";
  Fail(BandwidthRecord::kFailuresUntilFailed);
  Measure(milliseconds(32));
  EXPECT_DOUBLE_EQ(Result().bandwidth().best(), 0.25e9) << "what was before it failed does not count";
}

TEST_F(BandwidthRecordTest, AFigureLivesForThreeRounds) {
  Measure();
  EXPECT_EQ(Result().bandwidth_life_ms(), 18'000);
  now += seconds(18);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED);
  now += seconds(1);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(Result().bandwidth().samples(), 0u);
  EXPECT_EQ(Result().bandwidth_reason(), "the last figure is 19 s old");
}

TEST_F(BandwidthRecordTest, BusyPastTheFiguresLifeIsNotKnownAndSaidAndNoFailure) {
  Measure();
  for (int i = 0; i < 10; ++i) record.NotTried(absl::AbortedError("port eth0 is in another bandwidth probe"));
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED);
  now += seconds(20);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_NE(Result().bandwidth_reason().find("another bandwidth probe"), std::string::npos);
  EXPECT_EQ(record.failure(now), "");
}

TEST_F(BandwidthRecordTest, SwitchedOffIsGoneAtOnce) {
  Measure();
  Configure(0);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(Result().bandwidth().samples(), 0u);
  EXPECT_EQ(Result().bandwidth_reason(), "no bandwidth probes on this path");
  EXPECT_EQ(Result().bandwidth_life_ms(), 0);
  Configure(6);
  EXPECT_EQ(Result().bandwidth().samples(), 0u) << "an old figure does not come back";
}

TEST_F(BandwidthRecordTest, AFewFailuresInARowAreAFailure) {
  Measure();
  Fail(2);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED) << "one lost probe is no failure";
  EXPECT_EQ(record.failure(now), "");
  EXPECT_EQ(record.rounds_to_rest(), 0u);
  Fail(1);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_FAILED);
  EXPECT_EQ(Result().bandwidth().samples(), 0u);
  EXPECT_EQ(record.failure(now), "the last 3 bandwidth probes failed: the stream stalls");
  Measure();
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED) << "one that passes mends it";
  EXPECT_EQ(record.failure(now), "");
}

TEST_F(BandwidthRecordTest, WhatFailsRestsLongerAndLonger) {
  std::vector<uint32_t> rests;
  for (int i = 0; i < 7; ++i) {
    Fail(1);
    rests.push_back(record.rounds_to_rest());
  }
  EXPECT_EQ(rests, (std::vector<uint32_t>{0, 0, 1, 3, 7, 7, 7}));
}

// Once an edge whose streams all failed was good again from the third round of each rest on.
TEST_F(BandwidthRecordTest, AFailureIsToldForAsLongAsItRests) {
  for (int i = 0; i < 7; ++i) {
    Fail(1);
    if (record.rounds_to_rest() == 0) continue;
    const MonotonicTime tried_again = now + (record.rounds_to_rest() + 1) * seconds(6);
    EXPECT_NE(record.failure(tried_again), "") << "after " << i + 1;
    EXPECT_EQ(record.failure(tried_again + 3 * seconds(6)), "") << "and nobody tried: not known any more";
  }
}

// A round of a large cluster lasts for hours.
TEST_F(BandwidthRecordTest, ARestIsNeverLongerThanAQuarterOfAnHour) {
  Configure(3600);
  Fail(5);
  EXPECT_EQ(record.rounds_to_rest(), 7u);
  EXPECT_EQ(record.rest(), std::chrono::minutes(15));
}

TEST_F(BandwidthRecordTest, OurOwnShortageSaysNothingOfThePath) {
  Fail(5, absl::InternalError("no descriptors left"));
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(Result().bandwidth_reason(), "no descriptors left");
  EXPECT_EQ(record.failure(now), "");
}

TEST_F(BandwidthRecordTest, ABlackHoleIsNamed) {
  for (int i = 0; i < 3; ++i) record.Failed(absl::DeadlineExceededError("stalls"), "64 B pass, 8948 B do not", now);
  EXPECT_NE(record.failure(now).find("64 B pass, 8948 B do not"), std::string::npos);
}

TEST_F(BandwidthRecordTest, AStreamThatIsTooShortIsMadeLonger) {
  EXPECT_EQ(record.NextBytes(kPlanned, kMost), kPlanned);
  Measure(microseconds(56), 64, kPlanned);  // 1 MiB at 150 Gb/s
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_NE(Result().bandwidth_reason().find("too short"), std::string::npos);
  EXPECT_TRUE(record.too_short(kMost));
  const uint64_t next = record.NextBytes(kPlanned, kMost);
  EXPECT_GE(next, 4 * kPlanned) << "what takes 200 us";
  EXPECT_LE(next, 16 * kPlanned) << "and not much more";
  Measure(microseconds(400), 64, next);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_MEASURED);
  EXPECT_EQ(record.NextBytes(kPlanned, kMost), next) << "the next one begins where it was long enough";
}

TEST_F(BandwidthRecordTest, AStreamThatCameInFewReceiptsIsMadeSoMuchLongerAtOnce) {
  Measure(microseconds(5968), 3, kPlanned);  // a busy host takes much at a time
  const uint64_t next = record.NextBytes(kPlanned, kMost);
  EXPECT_GE(next, 16 * kPlanned / 3) << "as many receipts as are needed";
  EXPECT_LE(next, 16 * kPlanned);
}

TEST_F(BandwidthRecordTest, NotLongerThanAllowed) {
  for (int i = 0; i < 20; ++i) Measure(microseconds(1), 2, kPlanned);
  EXPECT_EQ(record.NextBytes(kPlanned, kMost), kMost);
  EXPECT_FALSE(record.too_short(kMost)) << "there is nothing left to try";
  EXPECT_EQ(record.NextBytes(2 * kMost, kMost), 2 * kMost) << "what the plan says is not cut here";
}

TEST_F(BandwidthRecordTest, WhatTheBudgetDoesNotGiveIsTriedSmaller) {
  Measure(microseconds(10), 20, kPlanned);
  const uint64_t large = record.NextBytes(kPlanned, kMost);
  record.Tried(large);
  record.NotTried(absl::ResourceExhaustedError("probing may take 5 %"));
  EXPECT_LT(record.NextBytes(kPlanned, kMost), large);
  EXPECT_GE(record.NextBytes(kPlanned, kMost), kPlanned);
}

}  // namespace
}  // namespace netsense
