#include "tests/conformance/suite.h"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "tests/conformance/footprint.h"
#include "transports/door/dial.h"

namespace netsense::conformance {

nanoseconds Scaled(nanoseconds time) {
  static const double kScale = [] {
    const char* more = std::getenv("NETSENSE_CONFORMANCE_TIME_SCALE");
    return ThisBackend().deviations.time_scale * (more != nullptr ? std::atof(more) : 1);
  }();
  return std::chrono::duration_cast<nanoseconds>(time * kScale);
}

// For Deviations::open_may_fail.
static constexpr seconds kPatience{10};

void Conformance::SetUp() {
  absl::Status available = transport().availability();
  if (deviations().open_may_fail && !available.ok())
    Eventually([&] { return (available = transport().availability()).ok(); }, Scaled(kPatience));
  if (available.ok()) return;
  const char* ci = std::getenv("CI");
  if (ci != nullptr && *ci != '\0') FAIL() << "this machine cannot run it: " << available;
  std::cerr << "NOT TESTED: " << ThisBackend().transport << " cannot run here: " << available << std::endl;
  GTEST_SKIP() << available;
}

Transport& Conformance::transport() {
  static const std::unique_ptr<TransportRegistry> kRegistry = MakeRegistry(ThisBackend());
  for (const auto& transport : kRegistry->all())
    if (transport->name() == ThisBackend().transport) return *transport;
  throw std::runtime_error("there is no transport " + ThisBackend().transport);
}

std::vector<Direction> Conformance::Directions() {
  std::vector<Direction> directions;
  if (deviations().stream_to_peer) directions.push_back(Direction::kToPeer);
  if (deviations().stream_from_peer) directions.push_back(Direction::kFromPeer);
  return directions;
}

v1::OpenSession Conformance::PingRequest() const {
  v1::OpenSession request;
  request.set_transport(ThisBackend().transport);
  request.set_purpose(v1::SESSION_PURPOSE_PING);
  request.set_wait_mode(GetParam().wait_mode);
  *request.mutable_options() = GetParam().variant.options;
  return request;
}

v1::OpenSession Conformance::StreamRequest(uint64_t max_stream_bytes) const {
  v1::OpenSession request = PingRequest();
  request.set_purpose(v1::SESSION_PURPOSE_STREAM);
  request.set_max_stream_bytes(max_stream_bytes);
  return request;
}

absl::StatusOr<DoorConnection> Conformance::Dial(const Peer& peer, const v1::OpenSession& request,
                                                 const std::string& token) {
  return DialDoor({ResponderAddress(), peer.port(), {.address = ProberAddress()}, token}, request, Soon(), {});
}

absl::StatusOr<std::unique_ptr<Session>> Conformance::TryOpen(const Peer& peer, const v1::OpenSession& request) {
  auto connection = Dial(peer, request);
  // The door gives a handshake 2 s, and what a session before has left behind may keep an emulated processor for
  // longer.
  if (deviations().open_may_fail && absl::IsDeadlineExceeded(connection.status()))
    Eventually([&] { return !absl::IsDeadlineExceeded((connection = Dial(peer, request)).status()); },
               Scaled(kPatience));
  if (!connection.ok()) return connection.status();
  return transport().Connect(*std::move(connection), Soon(), {});
}

absl::StatusOr<std::unique_ptr<Session>> Conformance::OpenPatiently(const Peer& peer, const v1::OpenSession& request) {
  auto session = TryOpen(peer, request);
  // The responder may not have seen the end of the stream session before this one yet.
  Eventually([&] { return !absl::IsAborted(session.status()) || (session = TryOpen(peer, request)).ok(); }, Prompt());
  if (deviations().open_may_fail && !session.ok())
    Eventually([&] { return (session = TryOpen(peer, request)).ok(); }, Scaled(kPatience));
  return session;
}

std::unique_ptr<Session> Conformance::Open(const Peer& peer, const v1::OpenSession& request) {
  auto session = OpenPatiently(peer, request);
  if (!session.ok()) throw std::runtime_error("cannot open a session: " + session.status().ToString());
  return *std::move(session);
}

void Conformance::ExpectOver(std::unique_ptr<Session> session) {
  const MonotonicTime start = MonotonicNow();
  EXPECT_EQ(CodeOf(Ping(*session)), absl::StatusCode::kUnavailable) << "the session should be over";
  EXPECT_LT(MonotonicNow() - start, Prompt());
  ExpectClosesPromptly(std::move(session));
}

void Conformance::ExpectClosesPromptly(std::unique_ptr<Session> session) {
  const MonotonicTime start = MonotonicNow();
  session.reset();
  EXPECT_LT(MonotonicNow() - start, Prompt()) << "the destructor hangs";
}

}  // namespace netsense::conformance

int main(int argc, char** argv) {
  using namespace netsense::conformance;
  if (argc > 1 && std::string(argv[1]) == kPeerArgument) return PeerMain(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);  // as the programs do
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
