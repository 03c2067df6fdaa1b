// What comes over the wire of the TCP transport from a scripted responder that splits, corrupts and resets.
// What TCP shares with every other backend stands in tests/conformance.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "tests/unit/loopback_responder.h"
#include "transports/socket.h"
#include "transports/tcp/channel.h"
#include "transports/tcp/factory.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A scripted responder on the other end of a loopback connection.
class ScriptedPeer {
 public:
  static constexpr uint64_t kNonce = 42;
  using Script = std::function<void(int fd)>;

  explicit ScriptedPeer(Script script) {
    auto listener = ListenTcp({"127.0.0.1"}, 0);
    auto near = ConnectTcp("127.0.0.1", LocalPort(listener->get()), {}, In(seconds(5)), {});
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

}  // namespace
}  // namespace netsense
