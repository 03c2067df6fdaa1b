// Nothing is left behind: descriptors, threads, child processes and locked memory, on both sides.
#include <unistd.h>

#include "tests/conformance/footprint.h"
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

constexpr int kWarmUps = 3;
constexpr uint64_t kKibASession = 512;  // that may look kept: what an allocator has not given back yet

TEST_P(Conformance, LeftoversOfManySessions) {
  Peer peer;
  auto cycle = [&] {
    auto session = Open(peer, PingRequest());
    ASSERT_TRUE(Ping(*session).ok());
    session = Open(peer, StreamRequest());
    for (Direction direction : Directions()) ASSERT_TRUE(Stream(*session, direction, 100'000).ok());
  };
  // What a library keeps for good, it has after the first few.
  for (int i = 0; i < kWarmUps; ++i) ASSERT_NO_FATAL_FAILURE(cycle());
  const Footprint ours = Footprint::Of(getpid()), peers = Footprint::Of(peer.pid());
  for (int i = 0; i < deviations().cycles; ++i) ASSERT_NO_FATAL_FAILURE(cycle());
  const Footprint ours_after = Settled(getpid(), ours, Settling());
  const Footprint peers_after = Settled(peer.pid(), peers, Settling());
  EXPECT_TRUE(ours_after.Within(ours)) << "prober: " << ours_after << "; before: " << ours;
  EXPECT_TRUE(peers_after.Within(peers)) << "responder: " << peers_after << "; before: " << peers;
}

TEST_P(Conformance, LeftoversOfMemory) {
  const int sessions = deviations().cycles;
  Peer peer;
  const auto beside = Open(peer, StreamRequest());  // what sessions share stays
  auto cycle = [&] {
    auto session = Open(peer, StreamRequest());
    for (Direction direction : Directions())
      ASSERT_TRUE(
          session->Stream({.direction = direction, .bytes = 256 << 10, .message_bytes = 16 << 10}, Soon(), {}).ok());
  };
  for (int i = 0; i < sessions; ++i) ASSERT_NO_FATAL_FAILURE(cycle());
  const uint64_t ours = AnonymousKib(getpid()), peers = AnonymousKib(peer.pid());
  for (int i = 0; i < sessions; ++i) ASSERT_NO_FATAL_FAILURE(cycle());
  const uint64_t slack = static_cast<uint64_t>(sessions) * kKibASession;
  // Both ends close a session at their own pace.
  EXPECT_LE(SettledKib(getpid(), ours + slack, Settling()), ours + slack) << "prober, KiB; it had " << ours;
  EXPECT_LE(SettledKib(peer.pid(), peers + slack, Settling()), peers + slack) << "responder, KiB; it had " << peers;
}

TEST_P(Conformance, LeftoversOfSessionsThatEndedBadly) {
  auto cycle = [&] {
    {
      Peer peer({.hold_pings = Scaled(milliseconds(20))});
      auto session = Open(peer, PingRequest());
      session->Ping({}, Within(milliseconds(1)), {}).IgnoreError();
      std::stop_source stop;
      stop.request_stop();
      Open(peer, PingRequest())->Ping({}, Soon(), stop.get_token()).IgnoreError();
      peer.Kill();
      Ping(*session).IgnoreError();
    }
  };
  for (int i = 0; i < kWarmUps; ++i) cycle();
  const Footprint before = Footprint::Of(getpid());
  for (int i = 0; i < deviations().cycles; ++i) cycle();
  const Footprint after = Settled(getpid(), before, Settling());
  EXPECT_TRUE(after.Within(before)) << after << "; before: " << before;
}

}  // namespace
}  // namespace netsense::conformance
