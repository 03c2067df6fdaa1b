// Peers that freeze or die, and probers that are told to stop, at any moment.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

// Longer than any test waits: who returns earlier was woken by what the test is about.
const nanoseconds kLong = seconds(10);

TEST_P(Conformance, FaultFrozenPeerLosesThePing) {
  const nanoseconds limit = Scaled(milliseconds(200));
  Peer peer;
  auto session = Open(peer, PingRequest());
  ASSERT_TRUE(Ping(*session).ok());
  peer.Freeze();
  const MonotonicTime start = MonotonicNow();
  auto lost = session->Ping({}, start + limit, {});
  EXPECT_EQ(CodeOf(lost), absl::StatusCode::kDeadlineExceeded) << lost.status();
  EXPECT_GE(MonotonicNow() - start, limit);
  EXPECT_LT(MonotonicNow() - start, limit + Prompt());
  peer.Thaw();
  auto sample = Ping(*session);
  EXPECT_TRUE(sample.ok()) << sample.status();
}

TEST_P(Conformance, FaultFrozenPeerEndsTheStreamAtItsDeadline) {
  for (Direction direction : Directions()) {
    for (bool from_the_start : {true, false}) {
      Peer peer;
      auto session = Open(peer, StreamRequest());
      auto later = Later([&] { peer.Freeze(); }, milliseconds(from_the_start ? 0 : 50));
      const nanoseconds limit = Scaled(milliseconds(400));
      const MonotonicTime start = MonotonicNow();
      auto sample = session->Stream({.direction = direction, .duration = Scaled(kLong)}, start + limit, {});
      EXPECT_EQ(CodeOf(sample), absl::StatusCode::kDeadlineExceeded) << sample.status();
      EXPECT_GE(MonotonicNow() - start, limit);
      EXPECT_LT(MonotonicNow() - start, limit + Prompt());
      ExpectClosesPromptly(std::move(session));
    }
  }
}

TEST_P(Conformance, FaultCancelledPingReturnsAtOnce) {
  Peer peer({.hold_pings = Scaled(kLong)});
  for (milliseconds delay : {milliseconds(0), milliseconds(1), milliseconds(100)}) {
    auto session = Open(peer, PingRequest());
    std::stop_source stop;
    auto later = Later([&] { stop.request_stop(); }, delay);
    const MonotonicTime start = MonotonicNow();
    auto sample = session->Ping({}, Within(kLong), stop.get_token());
    ASSERT_EQ(CodeOf(sample), absl::StatusCode::kCancelled) << sample.status();
    EXPECT_LT(MonotonicNow() - start, Scaled(delay) + Prompt());
    ExpectOver(std::move(session));
  }
}

TEST_P(Conformance, FaultCancelledStreamReturnsAtOnce) {
  for (Direction direction : Directions()) {
    for (bool frozen : {false, true}) {
      Peer peer;
      auto session = Open(peer, StreamRequest());
      if (frozen) peer.Freeze();
      std::stop_source stop;
      auto later = Later([&] { stop.request_stop(); }, milliseconds(100));
      const MonotonicTime start = MonotonicNow();
      auto sample =
          session->Stream({.direction = direction, .duration = Scaled(kLong)}, Within(kLong), stop.get_token());
      EXPECT_EQ(CodeOf(sample), absl::StatusCode::kCancelled) << sample.status();
      EXPECT_LT(MonotonicNow() - start, Scaled(milliseconds(100)) + Prompt());
      ExpectOver(std::move(session));
    }
  }
}

TEST_P(Conformance, FaultAStopBeforeTheCallIsHeeded) {
  Peer peer;
  std::stop_source stop;
  stop.request_stop();
  auto session = Open(peer, PingRequest());
  EXPECT_EQ(CodeOf(session->Ping({}, Soon(), stop.get_token())), absl::StatusCode::kCancelled);
  for (Direction direction : Directions()) {
    session = Open(peer, StreamRequest());
    auto sample = session->Stream({.direction = direction, .duration = Scaled(kLong)}, Soon(), stop.get_token());
    EXPECT_EQ(CodeOf(sample), absl::StatusCode::kCancelled) << sample.status();
  }
}

TEST_P(Conformance, FaultPeerKilledInMidPing) {
  Peer peer({.hold_pings = Scaled(kLong)});
  auto session = Open(peer, PingRequest());
  auto later = Later([&] { peer.Kill(); });
  const MonotonicTime start = MonotonicNow();
  auto sample = session->Ping({}, Within(kLong), {});
  EXPECT_EQ(CodeOf(sample), absl::StatusCode::kUnavailable) << sample.status();
  EXPECT_LT(MonotonicNow() - start, Scaled(milliseconds(50)) + Prompt());
  ExpectOver(std::move(session));
}

TEST_P(Conformance, FaultPeerKilledBetweenPings) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  ASSERT_TRUE(Ping(*session).ok());
  ASSERT_TRUE(peer.End(Prompt()).has_value());
  ExpectOver(std::move(session));
}

TEST_P(Conformance, FaultPeerKilledInMidStream) {
  for (Direction direction : Directions()) {
    Peer peer;
    auto session = Open(peer, StreamRequest());
    auto later = Later([&] { peer.Kill(); }, milliseconds(100));
    const MonotonicTime start = MonotonicNow();
    auto sample = session->Stream({.direction = direction, .duration = Scaled(kLong)}, Within(kLong), {});
    EXPECT_EQ(CodeOf(sample), absl::StatusCode::kUnavailable) << sample.status();
    EXPECT_LT(MonotonicNow() - start, Scaled(milliseconds(100)) + Prompt());
    ExpectOver(std::move(session));
  }
}

// The responder's side of the same: probers that leave in the middle must not cost it anything but their session.
TEST_P(Conformance, FaultProbersThatLeaveInTheMiddleDoNotHarmThePeer) {
  Peer peer;
  for (Direction direction : Directions()) {
    auto session = Open(peer, StreamRequest());
    session->Stream({.direction = direction, .duration = Scaled(kLong)}, Within(milliseconds(20)), {}).IgnoreError();
  }
  EXPECT_TRUE(Ping(*Open(peer, PingRequest())).ok());
}

}  // namespace
}  // namespace netsense::conformance
