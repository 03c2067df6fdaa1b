#include "transports/door_session.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <utility>

#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

// Over one end of a socket pair; every ping and stream ends as it is told.
class ToldSession final : public DoorSession {
 public:
  static DoorConnection Over(int fd) {
    DoorConnection connection;
    connection.fd = UniqueFd(fd);
    connection.request.set_max_stream_bytes(1000);
    connection.grant.set_session_nonce(7);
    return connection;
  }
  explicit ToldSession(DoorConnection connection)
      : DoorSession(connection, {/*ping_payload_bytes=*/100, /*message_bytes=*/50}), fd_(std::move(connection.fd)) {}

  SessionDetails details() const override { return {}; }

  absl::Status told;
  bool waits = false;  // until the connection is shut down
  int runs = 0;

 private:
  absl::Status Run(const std::stop_token& stop) {
    ++runs;
    if (!waits) return told;
    pollfd end{door(), POLLIN, 0};
    poll(&end, 1, -1);
    return stop.stop_requested() ? absl::CancelledError("stopped") : absl::InternalError("woken by something else");
  }
  absl::StatusOr<RttSample> RunPing(const PingSpec&, MonotonicTime, const std::stop_token& stop) override {
    RETURN_IF_ERROR(Run(stop));
    return RttSample();
  }
  absl::StatusOr<StreamSample> RunStream(const StreamSpec&, MonotonicTime, const std::stop_token& stop) override {
    RETURN_IF_ERROR(Run(stop));
    return StreamSample();
  }

  const UniqueFd fd_;
};

class DoorSessionTest : public testing::Test {
 protected:
  DoorSessionTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    session.emplace(ToldSession::Over(ends[0]));
    peer = UniqueFd(ends[1]);
  }
  absl::Status Ping(uint32_t bytes = 64, std::stop_token stop = {}) {
    return session->Ping({.payload_bytes = bytes}, MonotonicTime::max(), std::move(stop)).status();
  }
  absl::Status Stream(StreamSpec spec = {.bytes = 1000}) {
    return session->Stream(spec, MonotonicTime::max(), {}).status();
  }

  std::optional<ToldSession> session;
  UniqueFd peer;
};

TEST_F(DoorSessionTest, WhatIsTooLargeIsRefusedBeforeThePeerIsAskedAndHarmsNothing) {
  EXPECT_TRUE(absl::IsInvalidArgument(Ping(101)));
  EXPECT_TRUE(absl::IsInvalidArgument(Stream({.bytes = 1001})));
  EXPECT_TRUE(absl::IsInvalidArgument(Stream({.bytes = 1000, .message_bytes = 51})));
  EXPECT_TRUE(absl::IsInvalidArgument(Stream({})));
  EXPECT_EQ(session->runs, 0);
  EXPECT_TRUE(Ping(100).ok());
  EXPECT_TRUE(Stream({.bytes = 1000, .message_bytes = 50}).ok());
}

TEST_F(DoorSessionTest, ALostPingIsNoEnd) {
  session->told = absl::DeadlineExceededError("lost");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Ping()));
  session->told = absl::OkStatus();
  EXPECT_TRUE(Ping().ok());
}

TEST_F(DoorSessionTest, WhateverElseFailsEndsIt) {
  session->told = absl::DataLossError("damaged");
  EXPECT_TRUE(absl::IsDataLoss(Ping()));
  session->told = absl::OkStatus();
  EXPECT_TRUE(absl::IsUnavailable(Ping()));
  EXPECT_TRUE(absl::IsUnavailable(Stream()));
  EXPECT_EQ(session->runs, 1);
}

TEST_F(DoorSessionTest, AStreamThatDidNotEndInTimeEndsIt) {
  session->told = absl::DeadlineExceededError("too long");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Stream()));
  session->told = absl::OkStatus();
  EXPECT_TRUE(absl::IsUnavailable(Ping()));
}

TEST_F(DoorSessionTest, AStopWakesWhatWaitsForTheConnection) {
  session->waits = true;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(Ping(64, stop.get_token())));
  EXPECT_TRUE(PeerClosed(peer.get()));
}

}  // namespace
}  // namespace netsense
