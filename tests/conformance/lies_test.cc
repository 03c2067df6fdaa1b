// What is believed of a peer, and whose fault a failure is: for every backend, because it is judged around every
// session.
#include <sys/resource.h>

#include <functional>

#include "base/status_macros.h"
#include "tests/conformance/relay.h"
#include "tests/conformance/suite.h"
#include "transports/checked_session.h"
#include "transports/door/dial.h"

namespace netsense::conformance {
namespace {

// What a lying responder would have said, in place of what this one did.
struct Lie {
  std::function<void(RttSample&)> of_ping = [](RttSample&) {};
  std::function<void(StreamSample&)> of_stream = [](StreamSample&) {};
};

class LiedTo final : public Session {
 public:
  LiedTo(std::unique_ptr<Session> session, Lie lie) : session_(std::move(session)), lie_(std::move(lie)) {}
  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    auto sample = session_->Ping(spec, deadline, std::move(stop));
    if (sample.ok()) lie_.of_ping(*sample);
    return sample;
  }
  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    auto sample = session_->Stream(spec, deadline, std::move(stop));
    if (sample.ok()) lie_.of_stream(*sample);
    return sample;
  }
  const v1::SessionReply::Grant& peer() const override { return session_->peer(); }
  SessionDetails details() const override { return session_->details(); }

 private:
  const std::unique_ptr<Session> session_;
  const Lie lie_;
};

class LyingTransport final : public Transport {
 public:
  LyingTransport(Transport& real, Lie lie) : real_(real), lie_(std::move(lie)) {}
  std::string_view name() const override { return real_.name(); }
  Capabilities capabilities() const override { return real_.capabilities(); }
  absl::Status availability() const override { return real_.availability(); }
  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    ASSIGN_OR_RETURN(auto session, real_.Connect(std::move(connection), deadline, std::move(stop)));
    return std::make_unique<LiedTo>(std::move(session), lie_);
  }
  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    return real_.Serve(std::move(connection), limits, std::move(stop));
  }

 private:
  Transport& real_;
  const Lie lie_;
};

// The real session behind the check, and the lie between them.
absl::StatusOr<std::unique_ptr<Session>> ConnectLiedTo(Transport& real, absl::StatusOr<DoorConnection> connection,
                                                       Lie lie) {
  if (!connection.ok()) return connection.status();
  return ConnectChecked(*std::make_unique<LyingTransport>(real, std::move(lie)), *std::move(connection), 0, Soon(), {});
}

TEST_P(Conformance, LieOfTheHoldIsDataLoss) {
  if (!deviations().responder_hold) GTEST_SKIP() << "declared: it cannot tell the responder's hold";
  Peer peer;
  auto session = ConnectLiedTo(transport(), Dial(peer, PingRequest()),
                               {.of_ping = [](RttSample& s) { s.responder_hold = 2 * s.rtt + milliseconds(1); }});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(absl::IsDataLoss(Ping(**session).status()));
  ExpectOver(*std::move(session));
}

TEST_P(Conformance, LieOfMoreThanWasSentIsDataLoss) {
  Peer peer;
  auto session =
      ConnectLiedTo(transport(), Dial(peer, StreamRequest()), {.of_stream = [](StreamSample& s) { ++s.bytes; }});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(absl::IsDataLoss(Stream(**session, Direction::kToPeer, 1 << 20).status()));
}

TEST_P(Conformance, LieOfTheTimeIsDataLoss) {
  Peer peer;
  auto session = ConnectLiedTo(transport(), Dial(peer, StreamRequest()),
                               {.of_stream = [](StreamSample& s) { s.elapsed = std::chrono::hours(1); }});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(absl::IsDataLoss(Stream(**session, Direction::kToPeer, 1 << 20).status()));
}

TEST_P(Conformance, StreamTheSenderKnowsWhatItHandedOver) {
  Peer peer;
  auto session = Open(peer, StreamRequest());
  auto sample = Stream(*session, Direction::kToPeer, 1 << 20);
  ASSERT_TRUE(sample.ok()) << sample.status();
  if (sample->sent) {
    EXPECT_EQ(sample->sent->bytes, sample->bytes);
  }
  EXPECT_GE(sample->receipts, 1u);
  sample = Stream(*session, Direction::kFromPeer, 1 << 20);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_FALSE(sample->sent.has_value()) << "of what the peer sends nobody here knows";
}

// One byte in 20 ms once made a round trip of 2,000 ms that was OK at a limit of 500.
TEST_P(Conformance, FaultAnAnswerInDripsIsALostPing) {
  if (!deviations().over_the_door) GTEST_SKIP() << "declared: its bytes do not go over the door's connection";
  Peer peer;
  Relay relay(peer.port());
  auto connection = DialDoor({"127.0.0.1", relay.port(), {}, kToken}, PingRequest(), Soon(), {});
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto session = ConnectChecked(transport(), *std::move(connection), 0, Soon(), {});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(Ping(**session).ok());
  relay.Drip();
  const Stopwatch watch;
  auto sample = (*session)->Ping({.payload_bytes = 1024}, Within(milliseconds(500)), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(sample.status())) << sample.status();
  EXPECT_TRUE(watch.Within(milliseconds(500) + kPrompt));
}

TEST_P(Conformance, FaultOurOwnShortageIsNoFaultOfThePeers) {
  Peer peer;
  Open(peer, PingRequest()).reset();  // what is loaded and started once is there
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;  // what is open stays open
  setrlimit(RLIMIT_NOFILE, &none);
  auto session = TryOpen(peer, PingRequest());
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(absl::IsInternal(session.status())) << session.status();
  EXPECT_TRUE(TryOpen(peer, PingRequest()).ok());
}

}  // namespace
}  // namespace netsense::conformance
