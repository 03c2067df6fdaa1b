// The TCP transport against a real responder, and against a scripted one that delays, loses, corrupts and resets.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "tests/unit/loopback_responder.h"
#include "transports/socket.h"
#include "transports/stream_meter.h"
#include "transports/tcp/channel.h"
#include "transports/tcp/factory.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TcpTest : public testing::TestWithParam<v1::WaitMode> {
 protected:
  static ResponderOptions Options() {
    ResponderOptions options;
    options.allow_busy_poll = true;
    options.max_stream_bytes = 100 << 20;
    return options;
  }
  v1::OpenSession Request(uint64_t stream_bytes = 0) const {
    auto request =
        stream_bytes == 0 ? LoopbackResponder::PingRequest() : LoopbackResponder::StreamRequest(stream_bytes);
    request.set_wait_mode(GetParam());
    return request;
  }
  LoopbackResponder peer{"secret", Options()};
};

INSTANTIATE_TEST_SUITE_P(WaitModes, TcpTest, testing::Values(v1::WAIT_MODE_BLOCK, v1::WAIT_MODE_BUSY_POLL),
                         [](const auto& param) {
                           return param.param == v1::WAIT_MODE_BLOCK ? "blocking" : "busy_poll";
                         });

TEST_P(TcpTest, PingsOfEverySize) {
  auto session = peer.Open(Request());
  ASSERT_TRUE(session.ok()) << session.status();
  for (uint32_t size : {0u, 1u, 64u, 1000u, 1500u, 65536u, 3u, 40000u}) {
    auto sample = (*session)->Ping({.payload_bytes = size}, In(seconds(5)), {});
    ASSERT_TRUE(sample.ok()) << size << ": " << sample.status();
    EXPECT_GT(sample->rtt.count(), 0);
    ASSERT_TRUE(sample->responder_hold.has_value());
    EXPECT_LE(*sample->responder_hold, sample->rtt);
  }
  EXPECT_TRUE(absl::IsInvalidArgument((*session)->Ping({.payload_bytes = 65537}, In(seconds(5)), {}).status()));
  EXPECT_TRUE((*session)->Ping({}, In(seconds(5)), {}).ok()) << "a bad spec does not end the session";
}

TEST_P(TcpTest, StreamsBothWaysAndCountsEveryByte) {
  auto session = peer.Open(Request(100 << 20));
  ASSERT_TRUE(session.ok()) << session.status();
  for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
    for (uint64_t bytes : {uint64_t{1}, uint64_t{262'144}, uint64_t{262'145}, uint64_t{50 << 20}}) {
      auto sample = (*session)->Stream({.direction = direction, .bytes = bytes}, In(seconds(20)), {});
      ASSERT_TRUE(sample.ok()) << sample.status();
      EXPECT_EQ(sample->bytes, bytes);
      EXPECT_LT(sample->bytes_in_elapsed, bytes);
    }
  }
  auto timed = (*session)->Stream({.duration = milliseconds(50)}, In(seconds(20)), {});
  ASSERT_TRUE(timed.ok()) << timed.status();
  EXPECT_LE(timed->bytes, uint64_t{100} << 20);
  EXPECT_GE(timed->max_window_bps, timed->min_window_bps);
  EXPECT_TRUE((*session)->Ping({}, In(seconds(5)), {}).ok()) << "the session goes on after a stream";
}

TEST_P(TcpTest, AStreamKeepsToWhatWasGranted) {
  auto session = peer.Open(Request(1 << 20));
  ASSERT_TRUE(session.ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*session)->Stream({.bytes = (1 << 20) + 1}, In(seconds(5)), {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument((*session)->Stream({}, In(seconds(5)), {}).status()));
  auto bounded = (*session)->Stream({.duration = seconds(30)}, In(seconds(20)), {});
  ASSERT_TRUE(bounded.ok()) << bounded.status();
  EXPECT_EQ(bounded->bytes, uint64_t{1} << 20);
}

TEST_P(TcpTest, APingSessionCannotStream) {
  auto session = peer.Open(Request());
  ASSERT_TRUE(session.ok());
  // The session was granted no bytes: neither our side nor the responder lets a stream through.
  EXPECT_FALSE((*session)->Stream({.bytes = 1}, In(seconds(5)), {}).ok());
}

// ---- against a scripted responder on the other end of a socket pair of loopback TCP

class ScriptedPeer {
 public:
  static constexpr uint64_t kNonce = 42;
  using Script = std::function<void(int fd)>;

  explicit ScriptedPeer(Script script) {
    auto listener = ListenTcp("127.0.0.1", 0);
    auto near = ConnectTcp("127.0.0.1", LocalPort(listener->get()), "", In(seconds(5)), {});
    far_ = UniqueFd(accept(listener->get(), nullptr, nullptr));
    DoorConnection connection;
    connection.fd = *std::move(near);
    connection.grant.set_session_nonce(kNonce);
    connection.request = LoopbackResponder::StreamRequest(1 << 20);
    session = *MakeTcpTransport()->Connect(std::move(connection), In(seconds(5)), {});
    thread_ = std::jthread([this, script] { script(far_.get()); });
  }

  static FrameHeader ReadPing(int fd, std::vector<uint8_t>* payload) {
    std::vector<uint8_t> header(kHeaderBytes);
    recv(fd, header.data(), header.size(), MSG_WAITALL);
    FrameHeader decoded = DecodeHeader(header.data());
    payload->resize(decoded.payload_bytes);
    if (!payload->empty()) recv(fd, payload->data(), payload->size(), MSG_WAITALL);
    return decoded;
  }
  static void Reply(int fd, FrameHeader header, const std::vector<uint8_t>& payload) {
    header.kind = FrameKind::kPong;
    header.payload_bytes = static_cast<uint32_t>(payload.size());
    std::vector<uint8_t> bytes(kHeaderBytes);
    EncodeHeader(header, bytes.data());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  std::unique_ptr<Session> session;

 private:
  UniqueFd far_;
  std::jthread thread_;
};

TEST(TcpAccuracy, HoldIsShownApartAndIsNotInTheNetworkRtt) {
  constexpr milliseconds kHold{2};
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    MonotonicTime received = MonotonicNow();
    while (MonotonicNow() - received < kHold) {
    }
    ping.value = static_cast<uint64_t>((MonotonicNow() - received).count());
    ScriptedPeer::Reply(fd, ping, payload);
  });
  auto sample = peer.session->Ping({}, In(seconds(5)), {});
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_GE(sample->rtt, kHold);
  EXPECT_GE(*sample->responder_hold, kHold);
  EXPECT_EQ(sample->network_rtt(), sample->rtt - *sample->responder_hold);
}

TEST(TcpAccuracy, RttIsTheWholeRoundTrip) {
  // A peer that answers 20 ms late and says nothing of it: a prober that halves, or stops its clock early, is caught.
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    MonotonicTime received = MonotonicNow();
    while (MonotonicNow() - received < milliseconds(20)) {
    }
    ping.value = 0;
    ScriptedPeer::Reply(fd, ping, payload);
  });
  auto sample = peer.session->Ping({}, In(seconds(5)), {});
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_GE(sample->rtt, milliseconds(20));
  EXPECT_LT(sample->rtt, milliseconds(35));
}

TEST(TcpAccuracy, BandwidthIsBitsOverTheReceiversTime) {
  StreamSample sample;
  sample.bytes = 1'000'100;
  sample.bytes_in_elapsed = 1'000'000;
  sample.elapsed = milliseconds(10);
  EXPECT_DOUBLE_EQ(sample.bps(), 8e8);
}

TEST(TcpFaults, ALostSampleLeavesTheSessionAliveAndItsLateEchoIsDropped) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> first_payload, second_payload;
    FrameHeader first = ScriptedPeer::ReadPing(fd, &first_payload);  // answered only when the second one is here
    FrameHeader second = ScriptedPeer::ReadPing(fd, &second_payload);
    ScriptedPeer::Reply(fd, first, first_payload);
    second.value = 777;
    ScriptedPeer::Reply(fd, second, second_payload);
  });
  auto lost = peer.session->Ping({.payload_bytes = 100}, In(milliseconds(30)), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(lost.status())) << lost.status();
  auto sample = peer.session->Ping({.payload_bytes = 10}, In(seconds(5)), {});
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->responder_hold->count(), 777) << "the first ping's echo passed for the second's";
}

TEST(TcpFaults, HalfAnEchoBeforeTheDeadlineIsFinishedLater) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> first_payload, second_payload;
    FrameHeader first = ScriptedPeer::ReadPing(fd, &first_payload);
    std::vector<uint8_t> bytes(kHeaderBytes);
    first.kind = FrameKind::kPong;
    EncodeHeader(first, bytes.data());
    send(fd, bytes.data(), 20, MSG_NOSIGNAL);
    FrameHeader second = ScriptedPeer::ReadPing(fd, &second_payload);
    send(fd, bytes.data() + 20, kHeaderBytes - 20, MSG_NOSIGNAL);
    send(fd, first_payload.data(), first_payload.size(), MSG_NOSIGNAL);
    ScriptedPeer::Reply(fd, second, second_payload);
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(peer.session->Ping({}, In(milliseconds(30)), {}).status()));
  auto sample = peer.session->Ping({}, In(seconds(5)), {});
  EXPECT_TRUE(sample.ok()) << sample.status();
}

TEST(TcpFaults, ADamagedEchoIsDataLoss) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    payload[17] ^= 1;
    ScriptedPeer::Reply(fd, ping, payload);
  });
  auto sample = peer.session->Ping({}, In(seconds(5)), {});
  EXPECT_TRUE(absl::IsDataLoss(sample.status())) << sample.status();
  EXPECT_TRUE(absl::IsUnavailable(peer.session->Ping({}, In(seconds(5)), {}).status())) << "the session is over";
}

TEST(TcpFaults, AFrameOfAnotherSessionIsRefused) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    ping.nonce = 43;
    ScriptedPeer::Reply(fd, ping, payload);
  });
  EXPECT_FALSE(peer.session->Ping({}, In(seconds(5)), {}).ok());
}

TEST(TcpFaults, AnEchoThatAnnouncesTooMuchIsRefused) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    ping.kind = FrameKind::kPong;
    ping.payload_bytes = UINT32_MAX;
    std::vector<uint8_t> bytes(kHeaderBytes);
    EncodeHeader(ping, bytes.data());
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  });
  EXPECT_TRUE(absl::IsInvalidArgument(peer.session->Ping({}, In(seconds(5)), {}).status()));
}

TEST(TcpFaults, AResetIsUnavailable) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    ScriptedPeer::ReadPing(fd, &payload);
    linger hard{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    shutdown(fd, SHUT_RDWR);
  });
  auto sample = peer.session->Ping({}, In(seconds(5)), {});
  EXPECT_TRUE(absl::IsUnavailable(sample.status())) << sample.status();
}

TEST(TcpFaults, AStopFromAnotherThreadEndsTheWait) {
  ScriptedPeer peer([](int) {});
  std::stop_source stop;
  std::jthread stopper([&stop] { stop.request_stop(); });
  auto sample = peer.session->Ping({}, In(std::chrono::minutes(1)), stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(sample.status())) << sample.status();
}

TEST(TcpFaults, AStreamToAPeerThatDoesNotReadEndsAtTheDeadline) {
  ScriptedPeer peer([](int) {});
  MonotonicTime start = MonotonicNow();
  auto sample = peer.session->Stream({.direction = Direction::kFromPeer, .bytes = 1000}, In(milliseconds(100)), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(sample.status())) << sample.status();
  EXPECT_GE(MonotonicNow() - start, milliseconds(100));
}

TEST(TcpFaults, AReportThatContradictsItselfIsNotBelieved) {
  StreamSample impossible;
  impossible.bytes = 10;
  impossible.bytes_in_elapsed = 11;
  EXPECT_FALSE(SampleOf(ReportOf(impossible)).ok());
}

}  // namespace
}  // namespace netsense
