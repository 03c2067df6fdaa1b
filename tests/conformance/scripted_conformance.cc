// The scripted transport in the conformance suite, and the faults that only it can be told to have.
#include "tests/conformance/scripted_transport.h"
#include "tests/conformance/suite.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "scripted",
                                .variants = {Mode("plain")},
                                .deviations = {.busy_poll = false},
                                .make = MakeScriptedTransport};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Scripted, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

namespace {

TEST_P(Conformance, ScriptedDelayThatIsNotToldIsPartOfTheRoundTrip) {
  Peer peer({.fault = "delay"});
  auto session = Open(peer, PingRequest());
  auto sample = Ping(*session);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_GE(sample->network_rtt(), kSilentDelay);
}

TEST_P(Conformance, ScriptedLossIsADeadlineAndTheSessionLivesOn) {
  for (const char* fault : {"lose", "late"}) {
    Peer peer({.fault = fault});
    auto session = Open(peer, PingRequest());
    auto lost = session->Ping({.payload_bytes = 100}, Within(milliseconds(30)), {});
    EXPECT_EQ(CodeOf(lost), absl::StatusCode::kDeadlineExceeded) << lost.status();
    auto sample = Ping(*session, 10);
    EXPECT_TRUE(sample.ok()) << fault << ": " << sample.status();
  }
}

TEST_P(Conformance, ScriptedDamageIsDataLossAndEndsTheSession) {
  Peer peer({.fault = "corrupt"});
  auto session = Open(peer, PingRequest());
  auto sample = Ping(*session);
  EXPECT_EQ(CodeOf(sample), absl::StatusCode::kDataLoss) << sample.status();
  ExpectOver(std::move(session));
}

TEST_P(Conformance, ScriptedResetIsUnavailable) {
  Peer peer({.fault = "reset"});
  auto session = Open(peer, PingRequest());
  auto sample = Ping(*session);
  EXPECT_EQ(CodeOf(sample), absl::StatusCode::kUnavailable) << sample.status();
  ExpectOver(std::move(session));
}

}  // namespace
}  // namespace netsense::conformance
