#include "transports/stream_receiver.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/deadlines.h"

namespace netsense {
namespace {

using Part = StreamReceiver::Part;

constexpr uint64_t kGranted = 1000;

StreamReceiver Receiver(MonotonicTime deadline = MonotonicTime::max()) {
  return StreamReceiver({.bytes = kGranted}, kGranted, deadline);
}
FrameHeader Of(FrameKind kind, uint32_t bytes = 0) { return {.kind = kind, .payload_bytes = bytes}; }

TEST(StreamReceiver, KnowsWhatBelongsIntoAStream) {
  StreamReceiver receiver = Receiver();
  EXPECT_EQ(*receiver.Judge(Of(FrameKind::kChunk, 10)), Part::kChunk);
  EXPECT_EQ(*receiver.Judge(Of(FrameKind::kPong, 64)), Part::kLateEcho);
  EXPECT_EQ(*receiver.Judge(Of(FrameKind::kStreamEnd)), Part::kEnd);
  for (FrameKind kind : {FrameKind::kPing, FrameKind::kStreamOrder, FrameKind::kStreamReport, FrameKind::kReady})
    EXPECT_TRUE(absl::IsUnavailable(receiver.Judge(Of(kind)).status())) << static_cast<int>(kind);
}

// A peer that sends on and on: what it announces counts, before a byte of it has come.
TEST(StreamReceiver, IsNeverLongerThanGranted) {
  StreamReceiver receiver = Receiver();
  EXPECT_TRUE(receiver.Judge(Of(FrameKind::kChunk, kGranted - 1)).ok());
  EXPECT_TRUE(receiver.Judge(Of(FrameKind::kPong, UINT32_MAX)).ok()) << "an echo is no part of it";
  EXPECT_TRUE(absl::IsResourceExhausted(receiver.Judge(Of(FrameKind::kChunk, 2)).status()));
  EXPECT_TRUE(receiver.Judge(Of(FrameKind::kChunk, 1)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(receiver.Judge(Of(FrameKind::kChunk, UINT32_MAX)).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(receiver.Announce(1)));
}

TEST(StreamReceiver, CountsChunksAndNothingElse) {
  StreamReceiver receiver = Receiver();
  const MonotonicTime now = MonotonicNow();
  EXPECT_TRUE(receiver.Count(100, now).ok());
  EXPECT_TRUE(receiver.Count(0, now).ok());
  EXPECT_TRUE(receiver.Count(100, now).ok());
  EXPECT_EQ(receiver.Finish().bytes, 200u);
}

TEST(StreamReceiver, EndsAtTheDeadlineAndWhereItStalls) {
  const MonotonicTime now = MonotonicNow();
  StreamReceiver bounded = Receiver(now + std::chrono::milliseconds(1));
  EXPECT_EQ(bounded.until(), now + std::chrono::milliseconds(1));
  EXPECT_TRUE(bounded.Count(100, now).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(bounded.Count(100, bounded.until())));
  StreamReceiver stalling = Receiver();
  EXPECT_TRUE(stalling.Waited().ok()) << "not yet";
  EXPECT_TRUE(stalling.Count(0, stalling.until() - std::chrono::nanoseconds(1)).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(stalling.Count(0, stalling.until())));
}

TEST(StreamReceiver, AnOrderIsReadOnlyWhereStreamsAreGranted) {
  v1::OpenSession pings, streams;
  pings.set_purpose(v1::SESSION_PURPOSE_PING);
  streams.set_purpose(v1::SESSION_PURPOSE_STREAM);
  auto bytes = [](const v1::StreamOrder& order) {
    const std::string text = order.SerializeAsString();
    return std::vector<uint8_t>(text.begin(), text.end());
  };
  v1::StreamOrder order;
  order.set_direction(v1::STREAM_DIRECTION_TO_PEER);
  order.set_bytes(10);
  order.set_message_bytes(4096);
  EXPECT_TRUE(absl::IsPermissionDenied(ReadOrder(pings, bytes(order), 4096).status()));
  auto spec = ReadOrder(streams, bytes(order), 4096);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->bytes, 10u);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadOrder(streams, bytes(order), 4095).status())) << "larger messages";
  EXPECT_TRUE(absl::IsInvalidArgument(ReadOrder(streams, bytes(v1::StreamOrder()), 4096).status())) << "no bound";
  EXPECT_TRUE(absl::IsInvalidArgument(ReadOrder(streams, std::vector<uint8_t>{0xff}, 4096).status())) << "no order";
}

}  // namespace
}  // namespace netsense
