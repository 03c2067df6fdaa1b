// What comes over the wire of the TCP transport from a scripted responder that splits, corrupts and resets.
// What TCP shares with every other backend stands in tests/conformance.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/socket.h"
#include "tests/lab/pace.h"
#include "tests/unit/loopback_responder.h"
#include "transports/tcp/channel.h"
#include "transports/tcp/factory.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// A scripted responder on the other end of a loopback connection.
class ScriptedPeer {
 public:
  static constexpr uint64_t kNonce = 42;
  using Script = std::function<void(int fd)>;

  explicit ScriptedPeer(Script script) {
    auto listener = ListenTcp({"127.0.0.1"}, 0);
    auto near = ConnectTcp("127.0.0.1", LocalPort(listener->get()), {}, pace::Soon(), {});
    far_ = UniqueFd(accept(listener->get(), nullptr, nullptr));
    DoorConnection connection;
    connection.fd = *std::move(near);
    connection.grant.set_session_nonce(kNonce);
    connection.request = LoopbackResponder::StreamRequest(uint64_t{1} << 40);
    session = *MakeTcpTransport()->Connect(std::move(connection), pace::Soon(), {});
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
  auto sample = peer.session->Ping({}, pace::Soon(), {});
  EXPECT_TRUE(sample.ok()) << sample.status();
}

// An answer that was lost is sent again by the responder's TCP: only that one can tell.
TEST(TcpFaults, WhatTheResponderSentAgainIsCountedSinceTheLastAnswer) {
  ScriptedPeer peer([&](int fd) {
    for (uint32_t told : {65'534u, 1u, 1u}) {  // modulo 2^16
      std::vector<uint8_t> payload;
      FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
      ping.value = PackPong(1000, false, told);
      ScriptedPeer::Reply(fd, ping, payload);
    }
  });
  for (uint32_t since : {65'534u, 3u, 0u}) {
    auto sample = peer.session->Ping({}, pace::Soon(), {});
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->retransmits, since);
    EXPECT_EQ(sample->responder_hold, nanoseconds(1000));
  }
}

TEST(TcpFaults, ADamagedEchoIsDataLoss) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    payload[17] ^= 1;
    ScriptedPeer::Reply(fd, ping, payload);
  });
  auto sample = peer.session->Ping({}, pace::Soon(), {});
  EXPECT_TRUE(absl::IsDataLoss(sample.status())) << sample.status();
  EXPECT_TRUE(absl::IsUnavailable(peer.session->Ping({}, pace::Soon(), {}).status())) << "the session is over";
}

TEST(TcpFaults, AFrameOfAnotherSessionIsRefused) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    ping.nonce = 43;
    ScriptedPeer::Reply(fd, ping, payload);
  });
  EXPECT_FALSE(peer.session->Ping({}, pace::Soon(), {}).ok());
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
  EXPECT_TRUE(absl::IsUnavailable(peer.session->Ping({}, pace::Soon(), {}).status())) << "the peer's fault, not ours";
}

// Echoes of earlier pings without end once kept a ping for ever.
TEST(TcpFaults, AFloodOfOldEchoesDoesNotMoveTheDeadline) {
  std::atomic<bool> done = false;
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    FrameHeader ping = ScriptedPeer::ReadPing(fd, &payload);
    --ping.sequence;
    while (!done) ScriptedPeer::Reply(fd, ping, payload);
  });
  const pace::Stopwatch watch;
  EXPECT_TRUE(absl::IsDeadlineExceeded(peer.session->Ping({}, In(milliseconds(200)), {}).status()));
  done = true;
  EXPECT_TRUE(watch.Within(seconds(1)));
  peer.session.reset();  // who sends to nobody stops
}

// Each piece that goes through starts the kernel's own timeout anew.
TEST(TcpFaults, APeerThatReadsInDripsDoesNotMoveTheDeadline) {
  std::atomic<bool> done = false;
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> some(32 * 1024);
    do std::this_thread::sleep_for(milliseconds(20));
    while (!done && recv(fd, some.data(), some.size(), 0) > 0);
  });
  const pace::Stopwatch watch;
  auto sample = peer.session->Stream({.duration = seconds(30), .message_bytes = 8 << 20},
                                     watch.started() + milliseconds(300), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(sample.status())) << sample.status();
  EXPECT_TRUE(watch.Within(milliseconds(300) + seconds(1)));
  done = true;
}

TEST(TcpFaults, APeerThatSendsInDripsDoesNotMoveTheDeadline) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> order, bytes(kHeaderBytes);
    ScriptedPeer::ReadPing(fd, &order);
    EncodeHeader({.kind = FrameKind::kChunk, .payload_bytes = 1 << 20, .nonce = ScriptedPeer::kNonce}, bytes.data());
    while (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
      bytes.resize(1);
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  const pace::Stopwatch watch;
  auto sample = peer.session->Stream({.direction = Direction::kFromPeer, .duration = seconds(30)},
                                     watch.started() + milliseconds(300), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(sample.status())) << sample.status();
  EXPECT_TRUE(watch.Within(milliseconds(300) + seconds(1)));
  peer.session.reset();
}

// Its stamp waits where a poll for room would find it at once, again and again.
TEST(TcpFaults, APingThatWasGivenUpDoesNotMakeTheStreamSpin) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> ping;
    ScriptedPeer::ReadPing(fd, &ping);
  });
  EXPECT_TRUE(absl::IsDeadlineExceeded(peer.session->Ping({}, In(milliseconds(30)), {}).status()));
  const pace::Stopwatch watch;
  timespec before{}, after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  auto sample = peer.session->Stream({.duration = seconds(30)}, In(pace::Scaled(seconds(1))), {});
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const nanoseconds spent = seconds(after.tv_sec - before.tv_sec) + nanoseconds(after.tv_nsec - before.tv_nsec);
  EXPECT_TRUE(absl::IsDeadlineExceeded(sample.status())) << sample.status();
  // Whoever spins gets its share of a processor, if not all of one.
  EXPECT_LT(spent * pace::Scale(), watch.elapsed() * 0.3);
}

// A frame that came along with the one before it was received with it.
TEST(TcpResponderHold, OfAPingThatCameAlongWithAnother) {
  LoopbackResponder responder;
  auto connection = responder.Dial(LoopbackResponder::PingRequest(), "");
  ASSERT_TRUE(connection.ok()) << connection.status();
  const int fd = connection->fd.get();
  std::vector<uint8_t> bytes, message;
  uint64_t sequence = 0;
  for (const std::vector<uint32_t>& together : {std::vector<uint32_t>{1000}, {0, 0, 0, 0}}) {
    bytes.clear();
    for (uint32_t payload : together) {
      EncodePing(connection->grant.session_nonce(), ++sequence, payload, &message);
      bytes.insert(bytes.end(), message.begin(), message.end());
    }
    ASSERT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    for (size_t i = 0; i < together.size(); ++i) {
      const FrameHeader pong = ScriptedPeer::ReadPing(fd, &message);
      EXPECT_EQ(pong.kind, FrameKind::kPong);
      EXPECT_LT(UnpackPong(pong.value).hold, pace::Patience()) << "the ping with sequence " << pong.sequence;
    }
  }
}

TEST(TcpFaults, AResetIsUnavailable) {
  ScriptedPeer peer([&](int fd) {
    std::vector<uint8_t> payload;
    ScriptedPeer::ReadPing(fd, &payload);
    linger hard{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    shutdown(fd, SHUT_RDWR);
  });
  auto sample = peer.session->Ping({}, pace::Soon(), {});
  EXPECT_TRUE(absl::IsUnavailable(sample.status())) << sample.status();
}

}  // namespace
}  // namespace netsense
