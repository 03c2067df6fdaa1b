// Pings that are answered, and pings that are answered too late.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

TEST_P(Conformance, PingOfEverySize) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  const uint32_t most = capabilities().max_ping_payload_bytes;
  // Up and down: a size must not lean on the one before.
  for (uint32_t bytes : {0u, 1u, 64u, 1500u, most, 3u, most - 1, 4096u, 64u}) {
    const MonotonicTime start = MonotonicNow();
    auto sample = Ping(*session, bytes);
    const nanoseconds around = MonotonicNow() - start;
    ASSERT_TRUE(sample.ok()) << bytes << " bytes: " << sample.status();
    EXPECT_GT(sample->rtt.count(), 0);
    EXPECT_LE(sample->rtt, around) << "longer than the whole call";
    EXPECT_NE(sample->source, v1::TIMESTAMP_SOURCE_UNSPECIFIED);
    EXPECT_EQ(sample->responder_hold.has_value(), deviations().responder_hold);
    if (sample->responder_hold) {
      EXPECT_GE(sample->responder_hold->count(), 0);
      EXPECT_LE(*sample->responder_hold, sample->rtt);
    }
  }
}

// The responder holds each echo for longer than the first pings wait. What comes back late must not pass for the echo
// of the ping that is waiting by then: that one's own echo cannot come before its own hold.
TEST_P(Conformance, PingALateEchoIsDropped) {
  const nanoseconds hold = Scaled(milliseconds(60));
  Peer peer({.hold_pings = hold});
  auto session = Open(peer, PingRequest());
  for (int lost : {1, 3}) {
    for (int i = 0; i < lost; ++i) {
      ASSERT_TRUE(GaveUp(session->Ping({.payload_bytes = 100}, Within(milliseconds(20)), {}), hold));
    }
    auto sample = Ping(*session, 100);
    ASSERT_TRUE(sample.ok()) << "the session lives on after a lost sample: " << sample.status();
    EXPECT_GE(sample->rtt, hold) << "another ping's echo";
  }
}

TEST_P(Conformance, PingNoneIsLost) {
  constexpr int kPings = 100;
  Peer peer;
  auto session = Open(peer, PingRequest());
  for (int i = 0; i < kPings; ++i) {
    auto sample = session->Ping({}, Within(seconds(5)), {});
    ASSERT_TRUE(sample.ok()) << "ping " << i << ": " << sample.status();
  }
}

}  // namespace
}  // namespace netsense::conformance
