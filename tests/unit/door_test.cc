// The door against strangers: what it sends, what it keeps, and that honest probers get through.
#include "transports/door/door.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/socket.h"
#include "tests/lab/pace.h"
#include "transports/door/dial.h"

namespace netsense {
namespace {

class DoorTest : public testing::Test {
 protected:
  void OpenDoor(DoorOptions options) {
    auto opened = Door::Open(std::move(options), [this](DoorConnection connection) {
      v1::SessionReply reply;
      std::lock_guard lock(mutex);
      reply.mutable_grant()->set_node_id(node_id);
      (void)AnswerAtDoor(connection, reply);
      requests.push_back(std::move(connection));
    });
    ASSERT_TRUE(opened.ok()) << opened.status();
    door = *std::move(opened);
  }

  UniqueFd Connect() {
    auto fd = ConnectTcp("127.0.0.1", door->port(), {}, pace::Soon(), {});
    EXPECT_TRUE(fd.ok()) << fd.status();
    return fd.ok() ? *std::move(fd) : UniqueFd();
  }
  absl::StatusOr<DoorConnection> Dial(const std::string& token, const std::string& target = "") {
    v1::OpenSession request;
    request.set_transport("tcp");
    request.set_target_node_id(target);
    return DialDoor({"127.0.0.1", door->port(), {}, token}, request, pace::Soon(), {});
  }
  static void SendText(const UniqueFd& fd, const std::string& text) {
    ASSERT_TRUE(
        WriteAll(fd.get(), {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, pace::Soon(), {}).ok());
  }
  // Everything the door sends until it closes the connection.
  static size_t BytesUntilClosed(const UniqueFd& fd) {
    size_t total = 0;
    while (true) {
      pollfd wait{fd.get(), POLLIN, 0};
      if (poll(&wait, 1, static_cast<int>(pace::Patience().count())) <= 0) {
        ADD_FAILURE() << "the door does not close the connection";
        return total;
      }
      char buffer[4096];
      ssize_t n = recv(fd.get(), buffer, sizeof(buffer), 0);
      if (n <= 0) return total;
      total += static_cast<size_t>(n);
    }
  }

  std::mutex mutex;
  std::string node_id = "node";
  std::deque<DoorConnection> requests;
  std::unique_ptr<Door> door;
};

TEST_F(DoorTest, LetsAProberWithTheTokenIn) {
  OpenDoor({.token = "secret"});
  auto connection = Dial("secret");
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ(connection->protocol_version, 2);
  EXPECT_EQ(connection->grant.node_id(), "node");
  std::lock_guard lock(mutex);
  EXPECT_EQ(requests.front().request.transport(), "tcp");
  EXPECT_EQ(door->counters().authenticated, 1u);
}

TEST_F(DoorTest, RefusesAWrongTokenAndSaysSoOnBothSides) {
  OpenDoor({.token = "secret"});
  auto wrong = Dial("Secret");
  EXPECT_TRUE(absl::IsUnauthenticated(wrong.status())) << wrong.status();
  EXPECT_NE(wrong.status().message().find("different tokens"), absl::string_view::npos) << wrong.status();
  EXPECT_TRUE(absl::IsUnauthenticated(Dial("").status()));
  // The door answers first and counts then.
  pace::Eventually([&] { return door->counters().token_refused >= 2; });
  EXPECT_EQ(door->counters().token_refused, 2u);
  EXPECT_NE(door->counters().last_rejection.find("token"), std::string::npos);
  EXPECT_TRUE(requests.empty());
}

// In the middle of a change of the token, in either order.
TEST_F(DoorTest, TakesTheTokenBeforeWhileItIsChanged) {
  TokenRing ours = "old";
  OpenDoor({.token = ours});
  EXPECT_TRUE(Dial("old").ok());
  EXPECT_FALSE(Dial("new").ok());
  ours.Replace("new");
  EXPECT_TRUE(Dial("old").ok());
  EXPECT_TRUE(Dial("new").ok());
  EXPECT_FALSE(Dial("other").ok());
}

TEST_F(DoorTest, AProberWhoseTokenIsRefusedShowsTheOther) {
  OpenDoor({.token = "old"});
  TokenRing theirs = "old";
  theirs.Replace("new",
                 MonotonicNow() - kTokenOverlap / 2 - std::chrono::seconds(1));  // it shows the new one first by now
  v1::OpenSession request;
  EXPECT_TRUE(DialDoor({"127.0.0.1", door->port(), {}, theirs}, request, pace::Soon(), {}).ok());
  EXPECT_TRUE(
      absl::IsUnauthenticated(DialDoor({"127.0.0.1", door->port(), {}, "new"}, request, pace::Soon(), {}).status()));
}

TEST_F(DoorTest, AProberWithATokenDoesNotTalkToADoorWithoutOne) {
  OpenDoor({});
  EXPECT_TRUE(absl::IsUnauthenticated(Dial("secret").status()));
  EXPECT_TRUE(Dial("").ok());
}

TEST_F(DoorTest, WithoutATokenListensOnLoopbackOnly) {
  auto open = Door::Open({.host = "0.0.0.0"}, [](DoorConnection) {});
  EXPECT_TRUE(absl::IsInvalidArgument(open.status())) << open.status();
  EXPECT_NE(open.status().message().find("--insecure"), absl::string_view::npos);
  EXPECT_TRUE(Door::Open({.host = "0.0.0.0", .insecure = true}, [](DoorConnection) {}).ok());
  EXPECT_TRUE(Door::Open({.host = "0.0.0.0", .token = "secret"}, [](DoorConnection) {}).ok());
}

TEST_F(DoorTest, NobodyElseAnswersForTheNode) {
  OpenDoor({});
  EXPECT_TRUE(Dial("", "node").ok());
  EXPECT_TRUE(absl::IsNotFound(Dial("", "another").status()));
  {
    std::lock_guard lock(mutex);
    node_id = "";
  }
  EXPECT_TRUE(absl::IsNotFound(Dial("", "node").status())) << "an empty id never counts as the node";
}

TEST_F(DoorTest, SendsNoMoreThanItReceivedBeforeTheProof) {
  OpenDoor({.token = "secret"});
  UniqueFd fd = Connect();
  Nonce nonce{};
  auto hello = EncodeClientHello({.has_token = true}, nonce);
  ASSERT_TRUE(WriteAll(fd.get(), hello, pace::Soon(), {}).ok());
  ServerHelloBytes answer;
  ASSERT_TRUE(ReadExactly(fd.get(), answer, pace::Soon(), {}).ok());
  ClientProofBytes forged{};
  ASSERT_TRUE(WriteAll(fd.get(), forged, pace::Soon(), {}).ok());
  EXPECT_LE(answer.size() + BytesUntilClosed(fd), hello.size() + forged.size());
}

TEST_F(DoorTest, SendsNothingToGarbage) {
  OpenDoor({.token = "secret"});
  UniqueFd fd = Connect();
  SendText(fd, "GET / HTTP/1.1\r\nHost: somewhere.example\r\nUser-Agent: long enough for a hello\r\n\r\n");
  EXPECT_EQ(BytesUntilClosed(fd), 0u);
}

TEST_F(DoorTest, SpeaksOfVersions) {
  OpenDoor({});
  UniqueFd fd = Connect();
  Nonce nonce{};
  ASSERT_TRUE(
      WriteAll(fd.get(), EncodeClientHello({.version_min = 900, .version_max = 901}, nonce), pace::Soon(), {}).ok());
  ServerHelloBytes bytes;
  ASSERT_TRUE(ReadExactly(fd.get(), bytes, pace::Soon(), {}).ok());
  auto hello = DecodeServerHello(bytes);
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->agreement.answer, DoorAnswer::kVersion);
  auto status = RefusalStatus(hello->agreement.answer, hello->offer);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_F(DoorTest, RefusesAnOversizeRequest) {
  OpenDoor({});
  UniqueFd fd = Connect();
  Nonce nonce{};
  auto client = EncodeClientHello({}, nonce);
  ASSERT_TRUE(WriteAll(fd.get(), client, pace::Soon(), {}).ok());
  ServerHelloBytes server;
  ASSERT_TRUE(ReadExactly(fd.get(), server, pace::Soon(), {}).ok());
  ASSERT_TRUE(WriteAll(fd.get(), MakeClientProof("", client, server), pace::Soon(), {}).ok());
  VerdictBytes verdict;
  ASSERT_TRUE(ReadExactly(fd.get(), verdict, pace::Soon(), {}).ok());
  for (uint8_t byte : {0x00, 0x01, 0x00, 0x01})  // 65,537, a byte at a time
    ASSERT_TRUE(WriteAll(fd.get(), {&byte, 1}, pace::Soon(), {}).ok());
  EXPECT_EQ(BytesUntilClosed(fd), 0u);
  EXPECT_TRUE(requests.empty());
}

TEST_F(DoorTest, TakesAHandshakeByteByByte) {
  OpenDoor({});
  UniqueFd fd = Connect();
  Nonce nonce{};
  auto client = EncodeClientHello({}, nonce);
  for (uint8_t byte : client) ASSERT_TRUE(WriteAll(fd.get(), {&byte, 1}, pace::Soon(), {}).ok());
  ServerHelloBytes server;
  EXPECT_TRUE(ReadExactly(fd.get(), server, pace::Soon(), {}).ok());
}

// Passes one connection on, and changes one byte of it.
class Meddler {
 public:
  // The byte `at` of what the prober sends, or the responder.
  Meddler(uint16_t port, bool of_prober, size_t at) : listener_(*ListenTcp({"127.0.0.1"}, 0)) {
    thread_ = std::jthread([this, port, of_prober, at](const std::stop_token& stop) {
      if (!WaitReady(listener_.get(), POLLIN, pace::Soon(), stop).ok()) return;
      const UniqueFd prober(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      const UniqueFd responder = *ConnectTcp("127.0.0.1", port, {}, pace::Soon(), {});
      size_t passed[2] = {0, 0};
      pollfd ends[2] = {{prober.get(), POLLIN, 0}, {responder.get(), POLLIN, 0}};
      while (!stop.stop_requested()) {
        if (poll(ends, 2, 20) <= 0) continue;
        for (size_t from : {0, 1}) {
          uint8_t bytes[4096];
          const ssize_t n = ends[from].revents == 0 ? -2 : recv(ends[from].fd, bytes, sizeof(bytes), 0);
          if (n == 0 || n == -1) return;
          if (n < 0) continue;
          const size_t end = passed[from] + static_cast<size_t>(n);
          if ((from == 0) == of_prober && at >= passed[from] && at < end) bytes[at - passed[from]] ^= 1;
          passed[from] = end;
          (void)WriteAll(ends[1 - from].fd, {bytes, static_cast<size_t>(n)}, pace::Soon(), {});
        }
      }
    });
  }
  uint16_t port() const { return LocalPort(listener_.get()); }

 private:
  const UniqueFd listener_;
  std::jthread thread_;
};

TEST_F(DoorTest, WhatIsChangedOnItsWayIsRefused) {
  OpenDoor({.token = "secret"});
  v1::OpenSession request;
  request.set_transport("tcp");
  auto dial = [&request](uint16_t port) {
    return DialDoor({"127.0.0.1", port, {}, "secret"}, request, pace::Soon(), {}).status();
  };
  constexpr size_t kRequestAt = 64 + 64, kReplyAt = 64 + 40;  // behind hello and proof, hello and verdict
  ASSERT_TRUE(dial(Meddler(door->port(), true, 100'000).port()).ok()) << "who changes nothing is not seen";
  requests.clear();
  for (size_t at = kRequestAt + 4; at < kRequestAt + 4 + request.ByteSizeLong() + 32; ++at) {
    const Meddler meddler(door->port(), true, at);
    EXPECT_FALSE(dial(meddler.port()).ok()) << at;
  }
  EXPECT_TRUE(requests.empty());
  EXPECT_NE(door->counters().last_rejection.find("changed on its way"), std::string::npos);
  for (size_t at : {kReplyAt + 4, kReplyAt + 6, kReplyAt + 12, kReplyAt + 12 + 31}) {
    const Meddler meddler(door->port(), false, at);
    const absl::Status answer = dial(meddler.port());
    EXPECT_TRUE(absl::IsUnauthenticated(answer)) << at << ": " << answer;
  }
}

TEST_F(DoorTest, LetsAProberOfVersion1In) {
  OpenDoor({.token = "secret"});
  UniqueFd fd = Connect();
  Nonce nonce{};
  auto client = EncodeClientHello({.version_max = 1, .has_token = true}, nonce);
  ASSERT_TRUE(WriteAll(fd.get(), client, pace::Soon(), {}).ok());
  ServerHelloBytes server;
  ASSERT_TRUE(ReadExactly(fd.get(), server, pace::Soon(), {}).ok());
  EXPECT_EQ(DecodeServerHello(server)->agreement.version, 1);
  ASSERT_TRUE(WriteAll(fd.get(), MakeClientProof("secret", client, server), pace::Soon(), {}).ok());
  VerdictBytes verdict;
  ASSERT_TRUE(ReadExactly(fd.get(), verdict, pace::Soon(), {}).ok());
  ASSERT_TRUE(CheckVerdict("secret", client, server, verdict).ok());
  ASSERT_TRUE(WriteFrame(fd.get(), v1::OpenSession(), pace::Soon(), {}).ok());
  v1::SessionReply reply;
  ASSERT_TRUE(ReadFrame(fd.get(), &reply, pace::Soon(), {}).ok());
  EXPECT_EQ(reply.grant().node_id(), "node");
  door.reset();
  EXPECT_EQ(requests.front().protocol_version, 1);
  requests.clear();
  EXPECT_EQ(BytesUntilClosed(fd), 0u) << "no seal";
}

TEST(DialDoor, SpeaksVersion1ToAnOlderDoor) {
  auto listener = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(listener.ok());
  std::jthread older([&] {
    ASSERT_TRUE(WaitReady(listener->get(), POLLIN, pace::Soon(), {}).ok());
    const UniqueFd fd(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ClientHelloBytes client;
    ASSERT_TRUE(ReadExactly(fd.get(), client, pace::Soon(), {}).ok());
    const HelloOffer own{.version_max = 1, .has_token = true};
    Nonce nonce{};
    auto server = EncodeServerHello(own, Agree(*DecodeClientHello(client), own), nonce);
    ASSERT_TRUE(WriteAll(fd.get(), server, pace::Soon(), {}).ok());
    ClientProofBytes proof;
    ASSERT_TRUE(ReadExactly(fd.get(), proof, pace::Soon(), {}).ok());
    ASSERT_TRUE(
        WriteAll(fd.get(), MakeVerdict(DoorAnswer::kAccepted, "secret", client, server), pace::Soon(), {}).ok());
    v1::OpenSession request;
    ASSERT_TRUE(ReadFrame(fd.get(), &request, pace::Soon(), {}).ok());
    v1::SessionReply reply;
    reply.mutable_grant()->set_node_id("older");
    ASSERT_TRUE(WriteFrame(fd.get(), reply, pace::Soon(), {}).ok());
  });
  auto connection =
      DialDoor({"127.0.0.1", LocalPort(listener->get()), {}, "secret"}, v1::OpenSession(), pace::Soon(), {});
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ(connection->protocol_version, 1);
  EXPECT_EQ(connection->grant.node_id(), "older");
}

TEST_F(DoorTest, ClosesASilentConnectionInTime) {
  OpenDoor({.handshake_limit = std::chrono::milliseconds(100)});
  const pace::Stopwatch watch;
  UniqueFd fd = Connect();
  EXPECT_EQ(BytesUntilClosed(fd), 0u);
  EXPECT_GE(watch.elapsed(), std::chrono::milliseconds(100));
  EXPECT_TRUE(watch.Within(std::chrono::milliseconds(100) + std::chrono::seconds(1)));
}

TEST_F(DoorTest, ThousandSilentConnectionsKeepNobodyOut) {
  OpenDoor({.token = "secret", .handshake_limit = std::chrono::hours(1)});
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 1000; ++i) {
    silent.push_back(Connect());
    if (i % 100 == 99) {
      auto honest = Dial("secret");
      EXPECT_TRUE(honest.ok()) << honest.status();
    }
  }
  EXPECT_GE(door->counters().rejected, 1000 - door->options().max_handshakes_per_network);
  EXPECT_EQ(BytesUntilClosed(silent.front()), 0u);
}

TEST_F(DoorTest, OutlivesTheLackOfDescriptors) {
  OpenDoor({});
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  std::vector<UniqueFd> hoard;
  std::vector<UniqueFd> connections;
  {
    // A pair of descriptors a connection, on a limit of our own: take what is left but one, so that connect works and
    // accept does not.
    rlimit tight{64, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    while (true) {
      UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd) break;
      hoard.push_back(std::move(fd));
    }
    hoard.pop_back();
    connections.push_back(Connect());
    // The door gives up its reserve for it and closes it.
    EXPECT_EQ(BytesUntilClosed(connections.back()), 0u);
    hoard.clear();
    setrlimit(RLIMIT_NOFILE, &before);
  }
  auto honest = Dial("");  // waits for the end of the door's pause
  EXPECT_TRUE(honest.ok()) << honest.status();
}

}  // namespace
}  // namespace netsense
