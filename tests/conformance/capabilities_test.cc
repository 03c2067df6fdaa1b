// What a backend lists is what it does, in both directions: no more, no less, and no less than the contract but for
// what it has declared.
#include <algorithm>
#include <limits>

#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

TEST_P(Conformance, CapabilitiesAreTheContractButForWhatIsDeclared) {
  const Capabilities listed = capabilities();
  EXPECT_EQ(listed.ping, deviations().ping);
  EXPECT_EQ(listed.stream_to_peer, deviations().stream_to_peer);
  EXPECT_EQ(listed.stream_from_peer, deviations().stream_from_peer);
  EXPECT_EQ(listed.busy_poll, deviations().busy_poll);
  EXPECT_EQ(listed.responder_hold, deviations().responder_hold);
  EXPECT_GE(listed.max_ping_payload_bytes, deviations().ping_payload_bytes);
}

TEST_P(Conformance, CapabilitiesListNoModeThatIsNotTried) {
  const auto modes = capabilities().modes;
  ASSERT_FALSE(modes.empty()) << "a backend has at least the one way that it goes";
  for (const std::string& mode : modes) {
    const auto& variants = ThisBackend().variants;
    EXPECT_TRUE(std::any_of(variants.begin(), variants.end(),
                            [&](const Variant& variant) {
                              return variant.options.mode() == mode ||
                                     (variant.options.mode().empty() && mode == modes.front());
                            }))
        << "no variant goes by mode '" << mode << "'";
  }
}

TEST_P(Conformance, CapabilitiesAnUnknownModeIsRefusedAndNamed) {
  Peer peer;
  auto request = PingRequest();
  request.mutable_options()->set_mode("teleport");
  auto session = TryOpen(peer, request);
  EXPECT_EQ(CodeOf(session), absl::StatusCode::kInvalidArgument) << session.status();
  EXPECT_NE(session.status().message().find("teleport"), std::string::npos) << session.status();
  EXPECT_TRUE(Ping(*Open(peer, PingRequest())).ok()) << "the peer lives on";
}

TEST_P(Conformance, CapabilitiesAnOptionThatItDoesNotHaveIsRefusedAndNamed) {
  Peer peer;
  auto request = PingRequest();
  (*request.mutable_options()->mutable_values())["colour"] = "red";
  auto session = TryOpen(peer, request);
  EXPECT_EQ(CodeOf(session), absl::StatusCode::kInvalidArgument) << session.status();
  EXPECT_NE(session.status().message().find("colour"), std::string::npos) << session.status();
  auto of_another_release = PingRequest();
  auto* options = of_another_release.mutable_options();
  options->GetReflection()->MutableUnknownFields(options)->AddVarint(1000, 1);
  session = TryOpen(peer, of_another_release);
  EXPECT_EQ(CodeOf(session), absl::StatusCode::kInvalidArgument) << session.status();
  EXPECT_TRUE(Ping(*Open(peer, PingRequest())).ok()) << "the peer lives on";
}

TEST_P(Conformance, CapabilitiesWhatIsNotListedIsUnimplemented) {
  Peer peer;
  const Capabilities listed = capabilities();
  if (!listed.ping) {
    EXPECT_EQ(CodeOf(Ping(*Open(peer, PingRequest()))), absl::StatusCode::kUnimplemented);
  }
  auto session = Open(peer, StreamRequest());
  if (!listed.stream_to_peer) {
    EXPECT_EQ(CodeOf(Stream(*session, Direction::kToPeer, 1)), absl::StatusCode::kUnimplemented);
  }
  if (!listed.stream_from_peer) {
    EXPECT_EQ(CodeOf(Stream(*session, Direction::kFromPeer, 1)), absl::StatusCode::kUnimplemented);
  }
}

TEST_P(Conformance, CapabilitiesAPingPastTheListedSizeIsRefusedAndTheSessionLivesOn) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  const uint32_t most = capabilities().max_ping_payload_bytes;
  for (uint64_t bytes : {uint64_t{most} + 1, uint64_t{std::numeric_limits<uint32_t>::max()}}) {
    if (bytes > std::numeric_limits<uint32_t>::max() || bytes <= most) continue;
    EXPECT_EQ(CodeOf(Ping(*session, static_cast<uint32_t>(bytes))), absl::StatusCode::kInvalidArgument) << bytes;
    auto sample = Ping(*session, most);
    EXPECT_TRUE(sample.ok()) << sample.status();
  }
}

}  // namespace
}  // namespace netsense::conformance
