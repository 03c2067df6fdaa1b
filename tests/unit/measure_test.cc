// Bandwidth on demand against a real responder: a port that is taken, one of several streams that fails.
#include "engine/measure.h"

#include <gtest/gtest.h>

#include <csignal>
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
  std::signal(SIGPIPE, SIG_IGN);  // as the programs do
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
    EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
    EXPECT_TRUE(watch.Within(2s));
  }
}

}  // namespace
}  // namespace netsense
