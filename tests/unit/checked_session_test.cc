// What a peer says is believed only as far as it can be true. The sessions here say what they are told to.
#include "transports/checked_session.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/lab/pace.h"

namespace netsense {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Script {
  std::function<absl::StatusOr<RttSample>()> ping;
  std::function<absl::StatusOr<StreamSample>()> stream;
};

class ScriptedSession final : public Session {
 public:
  ScriptedSession(Script script, v1::SessionReply::Grant grant)
      : script_(std::move(script)), grant_(std::move(grant)) {}
  absl::StatusOr<RttSample> Ping(const PingSpec&, MonotonicTime, std::stop_token) override { return script_.ping(); }
  absl::StatusOr<StreamSample> Stream(const StreamSpec&, MonotonicTime, std::stop_token) override {
    return script_.stream();
  }
  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return {}; }

 private:
  const Script script_;
  const v1::SessionReply::Grant grant_;
};

class ScriptedTransport final : public Transport {
 public:
  explicit ScriptedTransport(Script script) : script_(std::move(script)) {}
  std::string_view name() const override { return "scripted"; }
  Capabilities capabilities() const override { return {}; }
  absl::Status availability() const override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime, std::stop_token) override {
    return std::make_unique<ScriptedSession>(script_, connection.grant);
  }
  absl::Status Serve(DoorConnection, const ServeLimits&, std::stop_token) override { return absl::OkStatus(); }

 private:
  const Script script_;
};

constexpr uint64_t kAllowed = 1 << 20;
constexpr uint64_t kPort = 10'000'000'000;

std::unique_ptr<Session> Checked(Script script, uint64_t port_bps = 0, uint64_t peers_bps = 0) {
  ScriptedTransport transport(std::move(script));
  DoorConnection connection;
  connection.request.set_max_stream_bytes(kAllowed);
  connection.grant.set_port_speed_bps(peers_bps);
  return *ConnectChecked(transport, std::move(connection), port_bps, pace::Soon(), {});
}

absl::StatusOr<RttSample> Ping(const RttSample& said, nanoseconds timeout = seconds(1)) {
  return Checked({.ping = [&] { return said; }, .stream = {}})->Ping({}, MonotonicNow() + timeout, {});
}

// A stream that `took` so long here.
absl::StatusOr<StreamSample> Stream(const StreamSample& said, nanoseconds took = milliseconds(2), uint64_t port_bps = 0,
                                    uint64_t peers_bps = 0) {
  auto session = Checked({.ping = {},
                          .stream =
                              [&] {
                                const MonotonicTime end = MonotonicNow() + took;
                                while (MonotonicNow() < end) {
                                }
                                return said;
                              }},
                         port_bps, peers_bps);
  return session->Stream({.bytes = kAllowed}, pace::Soon(), {});
}

StreamSample Honest() {
  StreamSample sample;
  sample.bytes = kAllowed;
  sample.bytes_in_elapsed = kAllowed - 65536;
  sample.receipts = 16;
  sample.elapsed = milliseconds(1);
  sample.sent = StreamSample::Sent{kAllowed, {}};
  return sample;
}

TEST(CheckedSession, AnHonestPeerIsBelieved) {
  auto ping = Ping({.rtt = microseconds(100), .responder_hold = microseconds(100)});
  ASSERT_TRUE(ping.ok()) << ping.status();
  EXPECT_EQ(ping->network_rtt(), nanoseconds(0));
  auto stream = Stream(Honest());
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_NEAR(*stream->bps(), 7.86e9, 0.01e9);
}

TEST(CheckedSession, AHoldLongerThanTheRoundTripIsALie) {
  auto ping = Ping({.rtt = microseconds(100), .responder_hold = microseconds(120)});
  EXPECT_TRUE(absl::IsDataLoss(ping.status())) << ping.status();
}

TEST(CheckedSession, AnAnswerAfterItsDeadlineIsALostPing) {
  auto ping = Ping({.rtt = milliseconds(2000), .responder_hold = {}}, milliseconds(500));
  EXPECT_TRUE(absl::IsDeadlineExceeded(ping.status())) << ping.status();
}

TEST(CheckedSession, ALateAnswerDoesNotEndTheSession) {
  RttSample said{.rtt = seconds(30), .responder_hold = {}};
  auto session = Checked({.ping = [&] { return said; }, .stream = {}});
  EXPECT_TRUE(absl::IsDeadlineExceeded(session->Ping({}, MonotonicNow() + seconds(1), {}).status()));
  said.rtt = microseconds(50);
  EXPECT_TRUE(session->Ping({}, MonotonicNow() + seconds(1), {}).ok());
}

TEST(CheckedSession, WhoLiedOnceIsNotAskedAgain) {
  auto session =
      Checked({.ping = [] { return RttSample{.rtt = microseconds(1), .responder_hold = seconds(1)}; }, .stream = {}});
  EXPECT_TRUE(absl::IsDataLoss(session->Ping({}, pace::Soon(), {}).status()));
  EXPECT_TRUE(absl::IsUnavailable(session->Ping({}, pace::Soon(), {}).status()));
}

TEST(CheckedSession, MoreThanWasSentIsALie) {
  StreamSample said = Honest();
  said.bytes = uint64_t{1} << 62;
  said.bytes_in_elapsed = said.bytes;
  said.elapsed = nanoseconds(1);
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()));
  said = Honest();
  said.sent->bytes = kAllowed / 2;
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()));
  said = Honest();
  said.bytes = kAllowed + 1;
  said.sent.reset();
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()))
      << "where only the receiver knows, what was asked for is the most";
}

TEST(CheckedSession, LongerThanTheCallTookIsALie) {
  StreamSample said = Honest();
  said.elapsed = seconds(100);
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()));
}

TEST(CheckedSession, FasterThanWeHandedItOverIsALie) {
  StreamSample said = Honest();
  said.sent->past_buffers = seconds(2);
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()));
  said.elapsed = milliseconds(1);
  said.sent->past_buffers = milliseconds(50);  // a host that stood still
  EXPECT_TRUE(Stream(said).ok());
}

TEST(CheckedSession, NothingAtAllIsAFailure) {
  StreamSample said;
  said.sent = StreamSample::Sent{kAllowed, {}};
  EXPECT_TRUE(absl::IsDataLoss(Stream(said).status()));
}

TEST(CheckedSession, FasterThanThePortIsNoRateOfTheNetwork) {
  StreamSample said = Honest();
  said.elapsed = microseconds(400);  // 20 Gb/s
  auto stream = Stream(said, milliseconds(2), kPort);
  ASSERT_TRUE(stream.ok()) << "buffers hold as much: " << stream.status();
  EXPECT_FALSE(stream->bps().has_value());
  EXPECT_FALSE(Stream(said, milliseconds(2), 10 * kPort, kPort)->bps().has_value()) << "the slower port counts";
  EXPECT_TRUE(Stream(said, milliseconds(2), 10 * kPort)->bps().has_value());
}

TEST(CheckedSession, FasterThanThePortAndMoreThanBuffersHoldIsALie) {
  ScriptedTransport transport({.ping = {}, .stream = [] {
                                 StreamSample said;
                                 said.bytes = said.bytes_in_elapsed = uint64_t{1} << 33;
                                 said.receipts = 1000;
                                 said.elapsed = milliseconds(1);
                                 return said;
                               }});
  DoorConnection connection;
  connection.request.set_max_stream_bytes(uint64_t{1} << 34);
  auto session = *ConnectChecked(transport, std::move(connection), kPort, pace::Soon(), {});
  const StreamSpec spec{.duration = seconds(1)};
  EXPECT_TRUE(absl::IsDataLoss(session->Stream(spec, pace::Soon(), {}).status()));
}

TEST(CheckedSession, TooShortAStreamHasNoRate) {
  StreamSample said = Honest();
  said.receipts = kFewestReceipts - 1;
  EXPECT_FALSE(Stream(said)->bps().has_value());
  said.receipts = kFewestReceipts;
  said.elapsed = kShortestTimed - microseconds(1);
  EXPECT_FALSE(Stream(said)->bps().has_value());
  said.elapsed = kShortestTimed;
  EXPECT_TRUE(Stream(said)->bps().has_value());
}

}  // namespace
}  // namespace netsense
