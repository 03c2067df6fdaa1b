// Peers that freeze or die, and probers that are told to stop, at any moment.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

// Longer than any test waits: who returns earlier was woken by what the test is about.
constexpr nanoseconds kLong = seconds(6);

TEST_P(Conformance, FaultFrozenPeerLosesThePing) {
  const nanoseconds limit = milliseconds(200);
  Peer peer;
  auto session = Open(peer, PingRequest());
  ASSERT_TRUE(Ping(*session).ok());
  peer.Freeze();
  const Stopwatch watch;
  auto lost = session->Ping({}, watch.started() + Scaled(limit), {});
  EXPECT_EQ(CodeOf(lost), absl::StatusCode::kDeadlineExceeded) << lost.status();
  EXPECT_GE(watch.elapsed(), Scaled(limit));
  EXPECT_TRUE(watch.Within(limit + kPrompt));
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
      const nanoseconds limit = milliseconds(150);
      const Stopwatch watch;
      auto sample =
          session->Stream({.direction = direction, .duration = Scaled(kLong)}, watch.started() + Scaled(limit), {});
      EXPECT_EQ(CodeOf(sample), absl::StatusCode::kDeadlineExceeded) << sample.status();
      EXPECT_GE(watch.elapsed(), Scaled(limit));
      EXPECT_TRUE(watch.Within(limit + kPrompt));
      ExpectClosesPromptly(std::move(session));
    }
  }
}

TEST_P(Conformance, FaultCancelledPingReturnsAtOnce) {
  Peer peer({.hold_pings = Scaled(kLong)});
  for (milliseconds delay : {milliseconds(0), milliseconds(1), milliseconds(30)}) {
    auto session = Open(peer, PingRequest());
    std::stop_source stop;
    auto later = Later([&] { stop.request_stop(); }, delay);
    const Stopwatch watch;
    auto sample = session->Ping({}, Within(kLong), stop.get_token());
    ASSERT_EQ(CodeOf(sample), absl::StatusCode::kCancelled) << sample.status();
    EXPECT_TRUE(watch.Within(delay + kPrompt));
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
      auto later = Later([&] { stop.request_stop(); }, milliseconds(30));
      const Stopwatch watch;
      auto sample =
          session->Stream({.direction = direction, .duration = Scaled(kLong)}, Within(kLong), stop.get_token());
      EXPECT_EQ(CodeOf(sample), absl::StatusCode::kCancelled) << sample.status();
      EXPECT_TRUE(watch.Within(milliseconds(30) + kPrompt));
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
  const Stopwatch watch;
  auto sample = session->Ping({}, Within(kLong), {});
  EXPECT_EQ(CodeOf(sample), absl::StatusCode::kUnavailable) << sample.status();
  EXPECT_TRUE(watch.Within(milliseconds(50) + kPrompt));
  ExpectOver(std::move(session));
}

TEST_P(Conformance, FaultPeerKilledBetweenPings) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  ASSERT_TRUE(Ping(*session).ok());
  ASSERT_TRUE(peer.End().has_value());
  ExpectOver(std::move(session));
}

TEST_P(Conformance, FaultPeerKilledInMidStream) {
  for (Direction direction : Directions()) {
    Peer peer;
    auto session = Open(peer, StreamRequest());
    auto later = Later([&] { peer.Kill(); }, milliseconds(30));
    const Stopwatch watch;
    auto sample = session->Stream({.direction = direction, .duration = Scaled(kLong)}, Within(kLong), {});
    EXPECT_EQ(CodeOf(sample), absl::StatusCode::kUnavailable) << sample.status();
    EXPECT_TRUE(watch.Within(milliseconds(30) + kPrompt));
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
  // Where one took the responder's process along, it is there again in a moment.
  auto session = OpenWhenFree(peer, PingRequest());
  if (deviations().process_may_die)
    pace::Eventually([&] { return session.ok() || (session = OpenWhenFree(peer, PingRequest())).ok(); });
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(Ping(**session).ok());
}

// The responder answers, but not in time.
TEST_P(Conformance, FaultSlowPeerLosesThePingAtItsDeadline) {
  Peer peer({.hold_pings = Scaled(seconds(30))});
  auto session = Open(peer, PingRequest());
  for (milliseconds limit : {milliseconds(1), milliseconds(20), milliseconds(300)}) {
    const Stopwatch watch;
    auto sample = session->Ping({}, watch.started() + Scaled(limit), {});
    ASSERT_EQ(CodeOf(sample), absl::StatusCode::kDeadlineExceeded) << sample.status();
    ASSERT_GE(watch.elapsed(), Scaled(limit));
    ASSERT_TRUE(watch.Within(limit + kPrompt));
  }
  ExpectClosesPromptly(std::move(session));
}

// A peer that sends on and on must not keep us past the deadline.
TEST_P(Conformance, FaultEndlessStreamReturnsAtItsDeadline) {
  constexpr nanoseconds kLimit = milliseconds(100);
  Peer peer;
  for (Direction direction : Directions()) {
    auto session = Open(peer, StreamRequest());
    const Stopwatch watch;
    auto sample = session->Stream({.direction = direction, .duration = Scaled(seconds(60))},
                                  watch.started() + Scaled(kLimit), {});
    EXPECT_TRUE(watch.Within(kLimit + kPrompt));
    if (direction == Direction::kFromPeer) {
      EXPECT_EQ(CodeOf(sample), absl::StatusCode::kDeadlineExceeded) << sample.status();
    }
    ExpectClosesPromptly(std::move(session));
  }
}

}  // namespace
}  // namespace netsense::conformance
