#include "engine/path_record.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class PathRecordTest : public testing::Test {
 protected:
  PathRecordTest() {
    v1::Plan plan;
    plan.set_rtt_window(5);
    plan.set_rtt_alpha(0.3);
    plan.set_bandwidth_window(3);
    plan.set_bandwidth_alpha(0.3);
    v1::PlannedPath path;
    path.set_bandwidth_slots(6);
    path.set_bandwidth_slot_ms(1000);
    record.Configure(plan, path);
  }
  void Answer(microseconds rtt = microseconds(100), microseconds hold = microseconds(10)) {
    record.PingAnswered({.rtt = rtt, .responder_hold = hold}, now += milliseconds(100));
  }
  void Fail(const absl::Status& status) { record.PingFailed(status, now += milliseconds(100)); }
  v1::PathResult Result() { return record.Summarize("p", milliseconds(1000), now); }

  MonotonicTime now = MonotonicNow();
  PathRecord record{now};
};

TEST_F(PathRecordTest, IsUnknownUntilMeasured) {
  EXPECT_EQ(Result().state(), v1::PATH_STATE_UNKNOWN);
  EXPECT_FALSE(Result().reason().empty());
  EXPECT_EQ(Result().last_ok_age_ms(), -1);
}

TEST_F(PathRecordTest, TakesTheHoldOutOfTheNetworkRtt) {
  for (int i = 0; i < 5; ++i) Answer(microseconds(2100), microseconds(2000));
  v1::PathResult result = Result();
  EXPECT_EQ(result.state(), v1::PATH_STATE_OK);
  EXPECT_DOUBLE_EQ(result.rtt().p50(), 2'100'000);
  EXPECT_DOUBLE_EQ(result.network_rtt().p50(), 100'000);
  EXPECT_NEAR(static_cast<double>(result.responder_hold_distribution().p50_ns()), 2e6, 2e6 * 0.016);
}

TEST_F(PathRecordTest, RailsThatNeverReachedEachOtherAreIsolatedAndThoseThatDidAreUnreachable) {
  record.SetCrossRail(true);
  Fail(absl::UnavailableError("Network is unreachable"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_ISOLATED);
  EXPECT_NE(Result().reason().find("Network is unreachable"), std::string::npos);
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
  Fail(absl::UnavailableError("Network is unreachable"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_UNREACHABLE);
}

TEST_F(PathRecordTest, AFatalCounterDegradesUntilAProbeWithoutOne) {
  Answer();
  v1::CounterDelta fatal;
  fatal.set_name("link_downed");
  fatal.set_delta(1);
  fatal.set_severity(v1::CounterDelta::SEVERITY_FATAL);
  record.SetCounters({fatal}, now);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  EXPECT_NE(Result().reason().find("link_downed"), std::string::npos);
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED) << "an answered ping does not mend it";
  EXPECT_EQ(Result().counters_size(), 1);
  fatal.set_severity(v1::CounterDelta::SEVERITY_CONGESTION);
  record.SetCounters({fatal}, now);
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
}

TEST_F(PathRecordTest, CountsBitsNotBytes) {
  StreamSample sample;
  sample.bytes = 1'000'000;
  sample.bytes_in_elapsed = 1'000'000;
  sample.elapsed = milliseconds(8);
  sample.receipts = 64;
  Answer();
  record.StreamMeasured(sample, now);
  EXPECT_DOUBLE_EQ(Result().bandwidth().p50(), 1e9);
}

TEST_F(PathRecordTest, OneLossDegradesAndThreeMakeUnreachable) {
  Answer();
  Fail(absl::DeadlineExceededError("late"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  Fail(absl::DeadlineExceededError("late"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  Fail(absl::DeadlineExceededError("late"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_UNREACHABLE);
  EXPECT_EQ(Result().rtt().samples(), 0u) << "samples from before an outage must not mix with those after it";
  EXPECT_EQ(Result().pings_lost(), 3u);
}

TEST_F(PathRecordTest, LossIsShownUntilItLeavesTheWindow) {
  for (int i = 0; i < 3; ++i) Answer();
  Fail(absl::DeadlineExceededError("late"));
  for (int i = 0; i < 4; ++i) {
    Answer();
    EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED) << i;
    EXPECT_EQ(Result().reason().substr(0, 9), "1 of the ");
  }
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
}

TEST_F(PathRecordTest, IsGoodAtOnceWhenItIsBack) {
  Answer();
  for (int i = 0; i < 10; ++i) Fail(absl::UnavailableError("refused"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_UNREACHABLE);
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
}

TEST_F(PathRecordTest, NamesEachKindOfFailure) {
  const std::pair<absl::Status, v1::PathState> cases[] = {
      {absl::UnavailableError("x"), v1::PATH_STATE_UNREACHABLE},
      {absl::NotFoundError("x"), v1::PATH_STATE_UNREACHABLE},
      {absl::UnauthenticatedError("x"), v1::PATH_STATE_REFUSED},
      {absl::ResourceExhaustedError("x"), v1::PATH_STATE_REFUSED},
      {absl::FailedPreconditionError("x"), v1::PATH_STATE_VERSION_MISMATCH},
      {absl::DataLossError("x"), v1::PATH_STATE_DEGRADED},
      {absl::InternalError("x"), v1::PATH_STATE_UNKNOWN},
  };
  for (const auto& [status, state] : cases) {
    Answer();
    Fail(status);
    EXPECT_EQ(Result().state(), state) << status;
    EXPECT_EQ(Result().reason(), "x");
  }
}

TEST_F(PathRecordTest, GoesStaleWhenNobodyLooks) {
  Answer();
  now += milliseconds(1001);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_STALE);
}

TEST_F(PathRecordTest, SaysWhyThereIsNoBandwidth) {
  Answer();
  record.StreamFailed(absl::UnavailableError("reset"), "", now);
  EXPECT_EQ(Result().bandwidth_reason(), "reset");
  EXPECT_EQ(Result().bandwidth_failed(), 1u);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK) << "one is not enough";
  record.StreamMeasured({.bytes = 10, .elapsed = {}, .bytes_in_elapsed = 0}, now);
  EXPECT_EQ(Result().bandwidth().samples(), 0u) << "an untimeable payload is no sample";
}

// Pings that passed and streams that failed for 400 s were "OK, 14.726 Gb/s".
TEST_F(PathRecordTest, StreamsThatFailDegradeThePathAndNamesWhy) {
  Answer();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
    record.StreamFailed(absl::DeadlineExceededError("stalls"), "64 B pass, 8948 B do not", now);
    Answer();
  }
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  EXPECT_EQ(Result().reason(), "the last 3 bandwidth probes failed: 64 B pass, 8948 B do not");
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_FAILED);
  StreamSample sample;
  sample.bytes = sample.bytes_in_elapsed = 1'000'000;
  sample.elapsed = milliseconds(8);
  sample.receipts = 64;
  record.StreamMeasured(sample, now);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
}

// The pair still rests then: nobody would try a stream.
TEST_F(PathRecordTest, WhoDoesNotAnswerForAMomentHasNotCuredItsStreams) {
  Answer();
  for (int i = 0; i < 3; ++i) record.StreamFailed(absl::DeadlineExceededError("stalls"), "", now);
  Fail(absl::UnavailableError("gone"));
  EXPECT_EQ(Result().state(), v1::PATH_STATE_UNREACHABLE);
  Answer();
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  EXPECT_EQ(Result().bandwidth_state(), v1::BANDWIDTH_STATE_FAILED);
}

TEST_F(PathRecordTest, PacketsThatTcpSendsAgainAreLoss) {
  auto answer = [&](uint32_t retransmits) {
    record.PingAnswered({.rtt = milliseconds(1), .responder_hold = {}, .retransmits = retransmits},
                        now += milliseconds(100));
  };
  for (int i = 0; i < 60; ++i) answer(i == 30 ? 1 : 0);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK) << "one in a day is no fault";
  EXPECT_EQ(Result().retransmits(), 1u);
  for (int i = 0; i < 60; ++i) answer(i % 10 == 0 ? 1 : 0);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_DEGRADED);
  EXPECT_NE(Result().reason().find("had to send something again"), std::string::npos);
  EXPECT_EQ(Result().pings_lost(), 0u);
  for (int i = 0; i < 64; ++i) answer(0);
  EXPECT_EQ(Result().state(), v1::PATH_STATE_OK);
  EXPECT_EQ(Result().retransmits(), 7u);
}

TEST_F(PathRecordTest, WhoCannotTellOfRetransmissionsSaysSo) {
  Answer();
  EXPECT_FALSE(Result().has_retransmits());
}

TEST_F(PathRecordTest, CountsOnWhereTheWindowsStartAnew) {
  Answer(microseconds(100), microseconds(10));
  Fail(absl::UnavailableError("gone"));
  EXPECT_EQ(Result().rtt().samples(), 0u);
  Answer(microseconds(1500), microseconds(0));
  const v1::CumulativeHistogram rtt = Result().rtt_histogram();
  EXPECT_EQ(rtt.count(), 2u);
  EXPECT_EQ(rtt.sum_ns(), 1'600'000u);
  EXPECT_EQ(Result().network_rtt_histogram().sum_ns(), 1'590'000u);
}

TEST_F(PathRecordTest, CountsForItsKindToo) {
  PathTotals kind;
  PathRecord other(now);
  record.AddTo(&kind);
  other.AddTo(&kind);
  Answer();
  Fail(absl::DeadlineExceededError("lost"));
  other.PingAnswered({.rtt = microseconds(100), .responder_hold = {}}, now);
  record.StreamNotTried(absl::AbortedError("busy"));
  record.StreamNotTried(absl::ResourceExhaustedError("budget"));
  other.StreamFailed(absl::UnavailableError("gone"), "", now);
  const v1::PathTotals totals = ExportTotals({"tcp", v1::FABRIC_KIND_ETHERNET, 3, false}, kind);
  EXPECT_EQ(totals.transport(), "tcp");
  EXPECT_EQ(totals.rail(), 3u);
  EXPECT_EQ(totals.rtt().count(), 2u);
  EXPECT_EQ(totals.pings_sent(), 3u);
  EXPECT_EQ(totals.pings_lost(), 1u);
  EXPECT_EQ(totals.bandwidth_probes(), 1u);
  EXPECT_EQ(totals.bandwidth_busy(), 1u);
  EXPECT_EQ(totals.bandwidth_deferred(), 1u);
  EXPECT_EQ(Result().pings_sent(), 2u);
}

}  // namespace
}  // namespace netsense
