// Who does not get in: the door decides that before the backend has its turn, and the backend lives on.
#include <array>

#include "base/handshake/hello.h"
#include "base/socket.h"
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

TEST_P(Conformance, DoorRefusesAWrongToken) {
  Peer peer;
  EXPECT_EQ(CodeOf(Dial(peer, PingRequest(), "another")), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(Dial(peer, PingRequest(), "")), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(Ping(*Open(peer, PingRequest())).ok());
}

TEST_P(Conformance, DoorRefusesAnotherProtocolVersion) {
  Peer peer;
  auto fd = ConnectTcp(ResponderAddress(), peer.port(), {.address = ProberAddress()}, Soon(), {});
  ASSERT_TRUE(fd.ok()) << fd.status();
  ServerHelloBytes answer{};
  auto ours = EncodeClientHello({.version_min = 900, .version_max = 901, .has_token = true}, {});
  ASSERT_TRUE(WriteAll(fd->get(), ours, Soon(), {}).ok());
  ASSERT_TRUE(ReadExactly(fd->get(), answer, Soon(), {}).ok());
  auto hello = DecodeServerHello(answer);
  ASSERT_TRUE(hello.ok()) << hello.status();
  EXPECT_EQ(RefusalStatus(hello->agreement.answer, hello->offer).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Ping(*Open(peer, PingRequest())).ok());
}

TEST_P(Conformance, DoorRefusesATransportThatThePeerDoesNotRun) {
  Peer peer;
  auto request = PingRequest();
  request.set_transport("carrier pigeon");
  EXPECT_EQ(CodeOf(Dial(peer, request)), absl::StatusCode::kUnimplemented);
}

TEST_P(Conformance, DoorOfAPeerThatIsGoneIsUnavailable) {
  Peer peer;
  ASSERT_TRUE(peer.End().has_value());
  EXPECT_EQ(CodeOf(Dial(peer, PingRequest())), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace netsense::conformance
