// Bandwidth on demand against a real responder: a port that is taken, one of several streams that fails.
#include "engine/measure.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "base/deadlines.h"
#include "tests/lab/pace.h"
#include "tests/unit/loopback_responder.h"

namespace netsense {
namespace {

using namespace std::chrono_literals;

ResponderOptions Options(uint64_t max_stream_bytes = std::numeric_limits<uint64_t>::max()) {
  ResponderOptions options;
  options.max_stream_bytes = max_stream_bytes;
  return options;
}

BandwidthRequest StreamsTo(const LoopbackResponder& peer, uint32_t streams, uint64_t bytes) {
  BandwidthRequest request;
  request.target = peer.target();
  request.bounds.iterations = 1;
  request.payload_bytes = bytes;
  request.streams = streams;
  return request;
}

TEST(MeasureBandwidth, WaitsAWhileForAPortThatIsTaken) {
  LoopbackResponder peer("", Options());
  auto taken = std::make_optional(*peer.gate.TryEnter("lo", 0, 1));
  std::jthread leaves([&](std::stop_token stop) {
    while (!stop.stop_requested() && peer.responder->counters().sessions_refused == 0) std::this_thread::yield();
    taken.reset();
  });
  auto result = MeasureBandwidth(TransportRegistry(), StreamsTo(peer, 1, 1000), {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->sample.bytes, 1000u);
  EXPECT_GE(peer.responder->counters().sessions_refused, 1u) << "the port was not taken at all";
}

TEST(MeasureBandwidth, DoesNotWaitForeverForAPortThatIsTaken) {
  LoopbackResponder peer("", Options());
  auto taken = *peer.gate.TryEnter("lo", 0, 1);
  const pace::Stopwatch watch;
  auto result = MeasureBandwidth(TransportRegistry(), StreamsTo(peer, 3, 1000), {});
  EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
  EXPECT_TRUE(watch.Within(deadlines::kPortBusy.nominal() + 2s));
}

TEST(MeasureBandwidth, AddsUpStreamsOfBothWays) {
  LoopbackResponder peer("", Options());
  BandwidthRequest request = StreamsTo(peer, 2, 100'000);
  request.directions = {Direction::kToPeer, Direction::kFromPeer};
  auto result = MeasureBandwidth(TransportRegistry(), request, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->streams.size(), 4u);
  EXPECT_EQ(result->sample.bytes, 400'000u);
}

// What it says is why, and not that the others were told to stop.
TEST(MeasureBandwidth, OneStreamThatIsRefusedEndsThemAllWithItsReason) {
  LoopbackResponder peer("", Options(1000));
  const pace::Stopwatch watch;
  auto result = MeasureBandwidth(TransportRegistry(), StreamsTo(peer, 4, 2000), {});
  EXPECT_FALSE(result.ok());
  EXPECT_FALSE(absl::IsCancelled(result.status())) << result.status();
  EXPECT_TRUE(watch.Within(2s));
}

TEST(MeasureBandwidth, IsStoppedAtAnyMoment) {
  LoopbackResponder peer("", Options());
  for (int ms : {0, 1, 5, 30}) {
    BandwidthRequest request = StreamsTo(peer, 3, 1000);
    request.bounds = {.iterations = {}, .duration = 30s};
    std::stop_source stop;
    std::jthread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(ms));
      stop.request_stop();
    });
    const pace::Stopwatch watch;
    auto result = MeasureBandwidth(TransportRegistry(), request, stop.get_token());
    if (result.ok()) {
      EXPECT_TRUE(result->interrupted) << "what was measured until then";
    } else {
      EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
    }
    EXPECT_TRUE(watch.Within(2s));
  }
}

TEST(MeasureBandwidth, AStopEndsItInOrderAndKeepsWhatWasMeasured) {
  LoopbackResponder peer("", Options());
  for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
    BandwidthRequest request = StreamsTo(peer, 1, 1);
    request.bounds = {.iterations = {}, .duration = 30s};
    request.directions = {direction};
    std::stop_source stop;
    std::jthread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      stop.request_stop();
    });
    auto result = MeasureBandwidth(TransportRegistry(), request, stop.get_token());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->interrupted);
    EXPECT_GT(result->sample.bps().value_or(0), 0);
  }
}

TEST(MeasurePing, CountsWhatWasDueAndNotSent) {
  LoopbackResponder peer("", Options());
  PingRequest request{.target = peer.target(), .bounds = {.iterations = {}, .duration = 200ms}};
  request.interval = 10ms;
  request.warmup = 0;
  std::atomic<int> pings = 0;
  // The prober stands still for half of the time, as if one ping had been waited for.
  auto result = MeasurePing(TransportRegistry(), request,
                            [&](double) {
                              if (++pings == 3) std::this_thread::sleep_for(100ms);
                            },
                            {});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->not_sent.has_value());
  EXPECT_GE(*result->not_sent, 9u);
  EXPECT_EQ(*result->not_sent + result->rtt.count() + result->lost, 20u);
}

TEST(MeasurePing, BackToBackHasNoSchedule) {
  LoopbackResponder peer("", Options());
  const PingRequest request{.target = peer.target(), .bounds = {.iterations = 10, .duration = {}}};
  auto result = MeasurePing(TransportRegistry(), request, [](double) {}, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->not_sent.has_value());
  EXPECT_EQ(result->retransmits, 0u);
}

TEST(MeasurePing, AnIntervalDoesNotOutlastTheDuration) {
  LoopbackResponder peer("", Options());
  PingRequest request{.target = peer.target(), .bounds = {.iterations = {}, .duration = 100ms}};
  request.interval = 20s;
  const pace::Stopwatch watch;
  auto result = MeasurePing(TransportRegistry(), request, [](double) {}, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rtt.count(), 1u);
  EXPECT_TRUE(watch.Within(2s));
}

}  // namespace
}  // namespace netsense
