// Streams both ways: their bounds, and what the receiver counts.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

void ExpectPlausible(const StreamSample& sample, nanoseconds around) {
  EXPECT_LE(sample.elapsed, around) << "longer than the whole call";
  // The first receipt only starts the clock.
  EXPECT_LT(sample.bytes_in_elapsed, sample.bytes);
  EXPECT_LE(sample.min_window_bps, sample.max_window_bps);
  if (sample.bytes_in_elapsed > 0) {
    EXPECT_GT(sample.elapsed.count(), 0);
    EXPECT_GT(sample.receipts, 1u);
  }
}

// Both sides' counts: to the peer it is the responder's, from the peer ours.
TEST_P(Conformance, StreamCountsEveryByteBothWays) {
  const uint64_t large = deviations().large_stream_bytes;
  Peer peer;
  auto session = Open(peer, StreamRequest(large));
  for (Direction direction : Directions()) {
    for (uint64_t bytes : {uint64_t{1}, uint64_t{1000}, uint64_t{65'536}, uint64_t{262'145}, large, uint64_t{2}}) {
      const MonotonicTime start = MonotonicNow();
      auto sample = session->Stream({.direction = direction, .bytes = bytes}, Within(seconds(30)), {});
      ASSERT_TRUE(sample.ok()) << bytes << " bytes: " << sample.status();
      EXPECT_EQ(sample->bytes, bytes);
      ExpectPlausible(*sample, MonotonicNow() - start);
      if (bytes == large) {
        EXPECT_GT(sample->elapsed.count(), 0);
      }
    }
  }
}

TEST_P(Conformance, StreamTellsHowFarItIsWhileItRuns) {
  Peer peer;
  for (Direction direction : Directions()) {
    auto session = Open(peer, StreamRequest());
    std::atomic<uint64_t> moved = 0;
    std::atomic<bool> over = false;
    std::stop_source finish, abort;
    absl::StatusOr<StreamSample> sample = absl::UnknownError("none yet");
    std::jthread stream([&] {
      const StreamSpec spec{
          .direction = direction, .duration = Scaled(seconds(60)), .finish = finish.get_token(), .moved = &moved};
      sample = session->Stream(spec, Within(seconds(90)), abort.get_token());
      over = true;
    });
    const MonotonicTime until = Within(seconds(20));
    auto wait = [&](auto what) {
      while (!what() && !over && MonotonicNow() < until) std::this_thread::sleep_for(milliseconds(1));
      return what();
    };
    EXPECT_TRUE(wait([&] { return moved > 0; }));
    const uint64_t first = moved;
    const bool is_known = first != kMovedNotKnown;
    EXPECT_TRUE(!is_known || wait([&] { return moved > first; })) << "it goes on";
    EXPECT_FALSE(over);
    (is_known ? finish : abort).request_stop();  // what the peer fetches runs to its bounds
    stream.join();
    if (!is_known) {
      EXPECT_EQ(direction, Direction::kToPeer) << "of what comes from the peer this end knows";
      continue;
    }
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_LE(moved, direction == Direction::kToPeer ? sample->sent.value().bytes : sample->bytes);
  }
}

TEST_P(Conformance, StreamInMessagesOfTheSizeAskedFor) {
  const uint32_t most = capabilities().max_message_bytes;
  ASSERT_GE(most, 65'536u);
  Peer peer;
  auto session = Open(peer, StreamRequest(uint64_t{most} + 1));
  for (Direction direction : Directions()) {
    for (uint32_t message_bytes : {100u, 65'536u, most}) {
      const uint64_t bytes = message_bytes == most ? uint64_t{most} + 1 : 10 * message_bytes;
      if (bytes > uint64_t{most} + 1) continue;
      auto sample = session->Stream({.direction = direction, .bytes = bytes, .message_bytes = message_bytes},
                                    Within(seconds(60)), {});
      ASSERT_TRUE(sample.ok()) << message_bytes << " bytes a message: " << sample.status();
      EXPECT_EQ(sample->bytes, bytes);
    }
    EXPECT_EQ(CodeOf(session->Stream({.direction = direction, .bytes = 1, .message_bytes = most + 1}, Soon(), {})),
              absl::StatusCode::kInvalidArgument);
  }
}

// The order that begins a stream is still unread where the receiver is slow and its end arrives: neither may overwrite
// the other.
TEST_P(Conformance, StreamOfAnyNumberOfMessages) {
  Peer peer;
  auto session = Open(peer, StreamRequest());
  for (uint32_t messages = 1; messages <= 24; ++messages) {
    for (Direction direction : Directions()) {
      const StreamSpec spec{.direction = direction, .bytes = messages * uint64_t{4096}, .message_bytes = 4096};
      auto sample = session->Stream(spec, Soon(), {});
      ASSERT_TRUE(sample.ok()) << messages << " messages: " << sample.status();
      EXPECT_EQ(sample->bytes, spec.bytes);
    }
  }
}

TEST_P(Conformance, StreamOfBothBoundsEndsAtTheFirst) {
  Peer peer;
  auto session = Open(peer, StreamRequest());
  for (Direction direction : Directions()) {
    auto sample = session->Stream({.direction = direction, .bytes = 1 << 20, .duration = seconds(60)}, Soon(), {});
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->bytes, uint64_t{1} << 20);
  }
}

TEST_P(Conformance, StreamNeverMovesMoreThanTheSessionWasOpenedFor) {
  constexpr uint64_t kMost = (1 << 20) + 1;
  Peer peer;
  auto session = Open(peer, StreamRequest(kMost));
  for (Direction direction : Directions()) {
    EXPECT_EQ(CodeOf(Stream(*session, direction, kMost + 1)), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(CodeOf(session->Stream({.direction = direction}, Soon(), {})), absl::StatusCode::kInvalidArgument)
        << "a stream without a bound";
    auto all = Stream(*session, direction, kMost);
    ASSERT_TRUE(all.ok()) << "a bad spec does not end the session: " << all.status();
    EXPECT_EQ(all->bytes, kMost);
    auto timed = session->Stream({.direction = direction, .duration = Scaled(seconds(60))}, Soon(), {});
    ASSERT_TRUE(timed.ok()) << timed.status();
    EXPECT_EQ(timed->bytes, kMost);
  }
}

TEST_P(Conformance, StreamAndPingsShareASession) {
  Peer peer;
  auto session = Open(peer, StreamRequest());
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(Ping(*session).ok());
    for (Direction direction : Directions()) {
      auto sample = Stream(*session, direction, 100'000);
      ASSERT_TRUE(sample.ok()) << sample.status();
      auto ping = Ping(*session, 1500);
      ASSERT_TRUE(ping.ok()) << "after a stream: " << ping.status();
    }
  }
}

TEST_P(Conformance, StreamAfterALostPingDoesNotStumbleOverItsEcho) {
  const nanoseconds hold = Scaled(milliseconds(60));
  Peer peer({.hold_pings = hold});
  auto session = Open(peer, StreamRequest());
  for (Direction direction : Directions()) {
    ASSERT_TRUE(GaveUp(session->Ping({.payload_bytes = 1000}, Within(milliseconds(10)), {}), hold));
    auto sample = Stream(*session, direction, 100'000);
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->bytes, 100'000u) << "the late echo is not part of the stream";
  }
}

TEST_P(Conformance, StreamIsNotForAPingSession) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  for (Direction direction : Directions())
    EXPECT_EQ(CodeOf(Stream(*session, direction, 1)), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Ping(*session).ok());
}

}  // namespace
}  // namespace netsense::conformance
