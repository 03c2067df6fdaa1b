#include "tests/conformance/suite.h"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "tests/conformance/hang_watch.h"
#include "transports/checked_session.h"
#include "transports/door/dial.h"

namespace netsense::conformance {

namespace {

// For Deviations::process_may_die: each time in a row the pause before the next start is twice as long.
absl::Status AwaitProcess(Transport& transport) {
  absl::Status available = transport.availability();
  if (ThisBackend().deviations.process_may_die && !available.ok())
    pace::Eventually([&] { return (available = transport.availability()).ok(); }, 2 * pace::Patience());
  return available;
}

bool ProcessDied(const absl::Status& status) {
  return absl::IsInternal(status) && (absl::StrContains(status.message(), "was killed by signal") ||
                                      absl::StrContains(status.message(), "started again after"));
}

}  // namespace

void Conformance::SetUp() {
  const absl::Status available = AwaitProcess(transport());
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
  ASSIGN_OR_RETURN(auto connection, Dial(peer, request));
  return ConnectChecked(transport(), std::move(connection), 0, Soon(), {});
}

absl::StatusOr<std::unique_ptr<Session>> Conformance::OpenWhenFree(const Peer& peer, const v1::OpenSession& request) {
  auto session = TryOpen(peer, request);
  // The responder may not have seen the end of the stream session before this one yet.
  auto busy = [&] { return absl::IsAborted(session.status()); };
  if (busy()) pace::Eventually([&] { return session = TryOpen(peer, request), !busy(); }, Settling());
  if (deviations().process_may_die && ProcessDied(session.status())) {
    std::cerr << "NOTE: " << session.status() << std::endl;
    if (AwaitProcess(transport()).ok()) session = TryOpen(peer, request);
  }
  return session;
}

std::unique_ptr<Session> Conformance::Open(const Peer& peer, const v1::OpenSession& request) {
  auto session = OpenWhenFree(peer, request);
  if (!session.ok()) throw std::runtime_error("cannot open a session: " + session.status().ToString());
  return *std::move(session);
}

testing::AssertionResult Conformance::GaveUp(const absl::StatusOr<RttSample>& sample, nanoseconds hold) {
  if (absl::IsDeadlineExceeded(sample.status()) || (sample.ok() && sample->rtt >= hold))
    return testing::AssertionSuccess();
  if (!sample.ok()) return testing::AssertionFailure() << sample.status();
  return testing::AssertionFailure() << "answered after " << sample->rtt.count() << " ns: another ping's echo";
}

void Conformance::ExpectOver(std::unique_ptr<Session> session) {
  const Stopwatch watch;
  EXPECT_EQ(CodeOf(Ping(*session)), absl::StatusCode::kUnavailable) << "the session should be over";
  EXPECT_TRUE(watch.Within(kPrompt));
  ExpectClosesPromptly(std::move(session));
}

void Conformance::ExpectClosesPromptly(std::unique_ptr<Session> session) {
  const Stopwatch watch;
  session.reset();
  EXPECT_TRUE(watch.Within(kPrompt)) << "the destructor hangs";
}

}  // namespace netsense::conformance

int main(int argc, char** argv) {
  using namespace netsense::conformance;
  if (argc > 1 && std::string(argv[1]) == kPeerArgument) return PeerMain(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);  // as the programs do
  testing::InitGoogleTest(&argc, argv);
  if (!GTEST_FLAG_GET(list_tests)) {
    netsense::pace::Start();
    testing::UnitTest::GetInstance()->listeners().Append(new HangWatch);
  }
  return RUN_ALL_TESTS();
}
