// Orders to measure towards others: who may give them, what they may cost, and that they end with their coordinator.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <limits>

#include "base/handshake/framing.h"
#include "engine/orders/messages.h"
#include "engine/orders/serving.h"
#include "engine/orders/session.h"
#include "tests/lab/pace.h"
#include "tests/unit/loopback_responder.h"

namespace netsense {
namespace {

ResponderOptions Unlimited() {
  ResponderOptions options;
  options.max_stream_bytes = std::numeric_limits<uint64_t>::max();
  return options;
}

absl::StatusOr<OrderSession> Open(const LoopbackResponder& node, const std::string& token = "") {
  return OrderSession::Open({"127.0.0.1", node.responder->port(), {}, token}, pace::Soon(), {});
}

PingRequest PingOf(const LoopbackResponder& target, uint64_t count) {
  PingRequest request;
  request.target = target.target();
  request.bounds.iterations = count;
  request.warmup = 3;
  return request;
}

BandwidthRequest StreamOf(const LoopbackResponder& target, uint64_t bytes, Direction direction) {
  BandwidthRequest request;
  request.target = target.target();
  request.bounds.iterations = 1;
  request.payload_bytes = bytes;
  request.directions = {direction};
  return request;
}

TEST(RemoteProbe, TellsWhatAPersonThereWouldSee) {
  LoopbackResponder near("secret"), far("secret");
  auto session = Open(near, "secret");
  ASSERT_TRUE(session.ok()) << session.status();
  auto node = session->Describe(pace::Soon(), {});
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_FALSE(node->hostname().empty());
  EXPECT_EQ(node->software_version(), NETSENSE_VERSION);
  ASSERT_GE(node->ports_size(), 1);
  EXPECT_EQ(node->ports(0).fabric(), v1::FABRIC_KIND_LOOPBACK);

  auto ping = session->Ping(PingOf(far, 50), pace::Soon(), {});
  ASSERT_TRUE(ping.ok()) << ping.status();
  EXPECT_EQ(ping->rtt.count() + ping->lost, 50u);
  EXPECT_GT(ping->rtt.Quantile(0.5), 0u);
  EXPECT_EQ(ping->peer.incarnation(), far.responder->incarnation());

  for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
    absl::StatusOr<BandwidthResult> stream;
    // The responder notices the end of a stream on its own thread.
    pace::Eventually([&] {
      stream = session->Bandwidth(StreamOf(far, 8 << 20, direction), pace::Soon(), {});
      return !absl::IsAborted(stream.status());
    });
    ASSERT_TRUE(stream.ok()) << stream.status();
    EXPECT_EQ(stream->sample.bytes, 8u << 20);
    ASSERT_EQ(stream->streams.size(), 1u);
    EXPECT_EQ(stream->streams[0].direction, direction);
  }
}

TEST(RemoteProbe, AHistogramTravelsWhole) {
  PingResult sent;
  for (int64_t i = 1; i < 3000; ++i) {
    sent.rtt.Add(std::chrono::nanoseconds(i * i * 37));
    sent.network_rtt.Add(std::chrono::nanoseconds(i));
  }
  sent.lost = 4;
  auto received = FromFigures(ToFigures(sent));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->rtt.Summarize().SerializeAsString(), sent.rtt.Summarize().SerializeAsString());
  for (double q : {0.01, 0.2, 0.5, 0.77, 1.0}) EXPECT_EQ(received->rtt.Quantile(q), sent.rtt.Quantile(q));
  EXPECT_EQ(received->responder_hold.count(), 0u);
  EXPECT_TRUE(absl::IsInvalidArgument(FromFigures(v1::PingFigures()).status())) << "no figure is no round trip of 0";
  EXPECT_EQ(received->lost, 4u);
  v1::HistogramCounts bad = sent.rtt.Export();
  bad.set_steps(0, 1 << 30);
  EXPECT_TRUE(absl::IsInvalidArgument(Histogram::Import(bad).status()));
  bad.set_sub_bits(40);
  EXPECT_TRUE(absl::IsInvalidArgument(Histogram::Import(bad).status()));
  bad = sent.rtt.Export();
  bad.set_min(bad.max() + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Histogram::Import(bad).status()));
  bad = sent.rtt.Export();
  bad.set_mean(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(absl::IsInvalidArgument(Histogram::Import(bad).status()));
}

// A bucket that is told twice holds less than it is counted for.
TEST(RemoteProbe, AHistogramHasEachBucketOnce) {
  v1::HistogramCounts twice;
  twice.set_sub_bits(8);
  for (const uint32_t step : {70, 0}) twice.add_steps(step);
  for (const uint32_t count : {2, 1}) twice.add_counts(count);
  twice.set_count(3);
  twice.set_min(70);
  twice.set_max(70);
  EXPECT_TRUE(absl::IsInvalidArgument(Histogram::Import(twice).status()));
  twice.set_steps(1, 1);
  twice.set_max(71);
  EXPECT_TRUE(Histogram::Import(twice).ok());
}

// Added to a moment they would go round and lie in the past: pings without a pause.
TEST(RemoteProbe, NoTimeOfAnOrderIsLongerThanADay) {
  LoopbackResponder far;
  const auto day = static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::hours(24)).count());
  v1::PingOrder ping = ToOrder(PingOf(far, 5));
  v1::BandwidthOrder stream = ToOrder(StreamOf(far, 1000, Direction::kToPeer));
  ASSERT_TRUE(FromOrder(ping).ok() && FromOrder(stream).ok());
  for (const uint64_t ns : {day, day + 1, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    ping.set_interval_ns(ns);
    EXPECT_EQ(FromOrder(ping).ok(), ns <= day) << ns;
    for (auto set : {&v1::BandwidthOrder::set_window_ns, &v1::BandwidthOrder::set_warmup_ns}) {
      v1::BandwidthOrder order = stream;
      (order.*set)(ns);
      EXPECT_EQ(FromOrder(order).ok(), ns <= day) << ns;
    }
  }
  v1::PingFigures figures;
  for (auto* histogram : {figures.mutable_rtt(), figures.mutable_network_rtt()}) {
    histogram->add_steps(1);
    histogram->add_counts(1);
    histogram->set_count(1);
  }
  EXPECT_TRUE(FromFigures(figures).ok());
  figures.set_elapsed_ns(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(FromFigures(figures).status()));
}

TEST(RemoteProbe, TakesNoOrdersWithoutTheToken) {
  LoopbackResponder near("secret");
  EXPECT_TRUE(absl::IsUnauthenticated(Open(near).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(Open(near, "another").status()));
}

TEST(RemoteProbe, WithoutATokenOnlyLoopbackGivesOrders) {
  ResponderOptions open_to_all;
  open_to_all.door.host = "0.0.0.0";
  open_to_all.door.insecure = true;
  LoopbackResponder engine("", open_to_all);
  EXPECT_TRUE(absl::IsPermissionDenied(Open(engine).status())) << Open(engine).status();
  open_to_all.take_orders = TakeOrders::kFromAnybody;
  LoopbackResponder serve("", open_to_all);
  EXPECT_TRUE(Open(serve).ok());
}

TEST(RemoteProbe, TheTargetHasToKnowTheTokenToo) {
  LoopbackResponder near("secret"), stranger("something else");
  auto session = Open(near, "secret");
  ASSERT_TRUE(session.ok());
  auto ping = session->Ping(PingOf(stranger, 5), pace::Soon(), {});
  EXPECT_TRUE(absl::IsUnauthenticated(ping.status())) << ping.status();
  EXPECT_FALSE(session->broken()) << "an order that failed is answered, and the next one may come";
}

TEST(RemoteProbe, ResolvesNoNamesForOthers) {
  LoopbackResponder near;
  auto session = Open(near);
  ASSERT_TRUE(session.ok());
  PingRequest request = PingOf(near, 5);
  request.target.host = "localhost";
  EXPECT_TRUE(absl::IsInvalidArgument(session->Ping(request, pace::Soon(), {}).status()));
}

TEST(RemoteProbe, StaysWithinTheLimitsOfItsNode) {
  ResponderOptions options;
  options.max_stream_bytes = 1 << 20;
  LoopbackResponder near("", options), far("", Unlimited());
  auto session = Open(near);
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->Describe(pace::Soon(), {})->max_stream_bytes(), 1u << 20);
  auto too_much = session->Bandwidth(StreamOf(far, (1 << 20) + 1, Direction::kToPeer), pace::Soon(), {});
  EXPECT_TRUE(absl::IsResourceExhausted(too_much.status())) << too_much.status();
  BandwidthRequest timed = StreamOf(far, 0, Direction::kToPeer);
  timed.bounds = {.iterations = {}, .duration = std::chrono::seconds(1)};
  EXPECT_TRUE(absl::IsResourceExhausted(session->Bandwidth(timed, pace::Soon(), {}).status()));
  BandwidthRequest warmed_up = StreamOf(far, 1000, Direction::kToPeer);
  warmed_up.warmup = std::chrono::seconds(1);
  EXPECT_TRUE(absl::IsResourceExhausted(session->Bandwidth(warmed_up, pace::Soon(), {}).status()))
      << "what warms up is counted nowhere";
  PingRequest large = PingOf(far, 5);
  large.payload_bytes = 65536;
  EXPECT_TRUE(absl::IsResourceExhausted(session->Ping(large, pace::Soon(), {}).status()));
  PingRequest spinning = PingOf(far, 5);
  spinning.target.wait_mode = v1::WAIT_MODE_BUSY_POLL;
  EXPECT_TRUE(absl::IsPermissionDenied(session->Ping(spinning, pace::Soon(), {}).status()));
}

TEST(RemoteProbe, ItsOwnPortIsTakenByOneStreamAtATime) {
  LoopbackResponder near("", Unlimited()), far("", Unlimited());
  auto held = near.gate.TryEnter("lo", 0, 1);
  ASSERT_TRUE(held.ok());
  auto session = Open(near);
  ASSERT_TRUE(session.ok());
  auto stream = session->Bandwidth(StreamOf(far, 1 << 20, Direction::kToPeer), pace::Soon(), {});
  EXPECT_TRUE(absl::IsAborted(stream.status())) << stream.status();
}

TEST(RemoteProbe, AnOrderHasAnEnd) {
  ResponderOptions options = Unlimited();
  options.max_stream_session = pace::Scaled(std::chrono::milliseconds(500));
  LoopbackResponder near("", options), far;
  auto session = Open(near);
  ASSERT_TRUE(session.ok());
  auto ping = session->Ping(PingOf(far, uint64_t{1} << 40), pace::Soon(), {});
  ASSERT_TRUE(ping.ok()) << ping.status();
  EXPECT_TRUE(ping->interrupted);
  EXPECT_GT(ping->rtt.count(), 0u);
}

// An endless order: seen to begin by the target's count of sessions, and to end by its own port's being free again.
TEST(RemoteProbe, EndsWhenTheCoordinatorLeaves) {
  ResponderOptions options = Unlimited();
  options.max_stream_session = std::chrono::hours(1);
  LoopbackResponder near("", options), far("", options);
  v1::OpenSession request;
  request.set_purpose(v1::SESSION_PURPOSE_ORDER);
  auto connection = near.Dial(request, "");
  ASSERT_TRUE(connection.ok()) << connection.status();
  BandwidthRequest endless = StreamOf(far, 0, Direction::kToPeer);
  endless.bounds = {.iterations = {}, .duration = std::chrono::hours(1)};
  v1::Order order;
  *order.mutable_bandwidth() = ToOrder(endless);
  ASSERT_TRUE(WriteSealed(connection->fd.get(), order, SealedBy::kProber, &connection->seal, pace::Soon(), {}).ok());
  ASSERT_TRUE(pace::Eventually([&] { return far.responder->counters().sessions_granted > 0; }))
      << "the order never began";
  EXPECT_TRUE(absl::IsAborted(near.gate.TryEnter("lo", 0, 1).status())) << "the port is not the order's alone";
  connection->fd.Reset();
  EXPECT_TRUE(pace::Eventually([&] { return near.gate.TryEnter("lo", 0, 1).ok(); })) << "the order lives on";
}

TEST(RemoteProbe, StopsWithItsNode) {
  auto near = std::make_unique<LoopbackResponder>("", Unlimited());
  auto session = Open(*near);
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE(session->Describe(pace::Soon(), {}).ok());
  near.reset();
  EXPECT_TRUE(absl::IsUnavailable(session->Describe(pace::Soon(), {}).status()));
  EXPECT_TRUE(session->broken());
}

}  // namespace
}  // namespace netsense
