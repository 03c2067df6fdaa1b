// What a stream's receiver counts, and what is believed of it.
#include "transports/stream_meter.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

using std::chrono::milliseconds;

TEST(StreamMeter, TheFirstReceiptStartsTheClockAndIsNotInTheRate) {
  StreamMeter meter(milliseconds(10), 0);
  const MonotonicTime start = MonotonicNow();
  for (int i = 0; i <= 20; ++i) meter.Add(1000, start + milliseconds(10 * i));
  const StreamSample sample = meter.Finish();
  EXPECT_EQ(sample.bytes, 21000u);
  EXPECT_EQ(sample.bytes_in_elapsed, 20000u);
  EXPECT_EQ(sample.receipts, 21u);
  EXPECT_EQ(sample.elapsed, milliseconds(200));
  EXPECT_DOUBLE_EQ(sample.bps().value_or(0), 8e5);
  EXPECT_DOUBLE_EQ(sample.min_window_bps, 8e5);
  EXPECT_DOUBLE_EQ(sample.max_window_bps, 8e5);
}

TEST(StreamMeter, OneReceiptSaysNothingOfTheRate) {
  StreamMeter meter(milliseconds(10), 0);
  meter.Add(1000, MonotonicNow());
  EXPECT_EQ(meter.Finish().bytes, 1000u);
  EXPECT_FALSE(meter.Finish().bps().has_value());
}

TEST(StreamMeter, BandwidthIsBitsOverTheReceiversTime) {
  StreamSample sample;
  sample.bytes = 1'000'100;
  sample.bytes_in_elapsed = 1'000'000;
  sample.elapsed = milliseconds(10);
  sample.receipts = 100;
  EXPECT_DOUBLE_EQ(sample.bps().value_or(0), 8e8);
}

TEST(StreamMeter, AReportThatContradictsItselfIsNotBelieved) {
  StreamSample impossible;
  impossible.bytes = 10;
  impossible.bytes_in_elapsed = 11;
  EXPECT_FALSE(SampleOf(ReportOf(impossible)).ok());
}

TEST(StreamMeter, WhatComesAtOnceIsOneReceipt) {
  StreamMeter meter(std::chrono::milliseconds(100), 0);
  const MonotonicTime now = MonotonicNow();
  for (int i = 0; i < 16; ++i) meter.Add(4096, now);
  EXPECT_EQ(meter.Finish().bytes, 16u * 4096);
  EXPECT_EQ(meter.Finish().bytes_in_elapsed, 0u);
  EXPECT_EQ(meter.Finish().receipts, 1u);
  EXPECT_FALSE(meter.Finish().bps().has_value()) << "nothing can be said of bytes that all came at one instant";
  meter.Add(1000, now + std::chrono::microseconds(1));
  EXPECT_EQ(meter.Finish().bytes_in_elapsed, 1000u);
}

// Once shown as 9223372036 s.
TEST(StreamMeter, TimeDoesNotGoBack) {
  StreamMeter meter(milliseconds(10), 0);
  const MonotonicTime start = MonotonicNow();
  meter.Add(1000, start + milliseconds(1));
  meter.Add(1000, start);
  EXPECT_EQ(meter.Finish().elapsed, milliseconds(0));
  meter.Add(1000, start + milliseconds(3));
  EXPECT_EQ(meter.Finish().elapsed, milliseconds(2));
}

// 6,400 B in 0.95 us once read as 54 Gb/s.
TEST(StreamMeter, MicrosecondsAreNoBandwidth) {
  StreamMeter meter(milliseconds(100), 6400);
  const MonotonicTime start = MonotonicNow();
  for (int i = 0; i < 200; ++i) meter.Add(32, start + std::chrono::nanoseconds(5 * i));
  EXPECT_EQ(meter.Finish().bytes, 6400u);
  EXPECT_FALSE(meter.Finish().bps().has_value());
  EXPECT_EQ(meter.Finish().max_window_bps, 0);
}

TEST(StreamMeter, AStreamThatHardlyMovesIsGivenUp) {
  StreamMeter meter(milliseconds(100), 1'000'000);
  MonotonicTime now = meter.look_at();
  meter.Add(10'000, now - milliseconds(1));
  EXPECT_TRUE(meter.Look(now).ok()) << "a hundredth of it came";
  EXPECT_GT(meter.look_at(), now);
  meter.Add(9'999, now);
  EXPECT_TRUE(meter.Look(now).ok()) << "too early to tell";
  EXPECT_TRUE(absl::IsDeadlineExceeded(meter.Look(meter.look_at()))) << "less";
}

TEST(StreamMeter, ALongStreamOverASlowLinkIsNotGivenUp) {
  StreamMeter meter(milliseconds(100), uint64_t{1} << 40);
  meter.Add(64 << 10, meter.look_at());
  EXPECT_TRUE(meter.Look(meter.look_at()).ok());
  StreamMeter timed(milliseconds(100), 0);
  timed.Add(1, timed.look_at());
  EXPECT_TRUE(timed.Look(timed.look_at()).ok());
}

// 0.2 s of 464 Mb/s in messages of 1 MiB are 11 receipts: nothing would be known of it.
TEST(StreamMeter, AStreamByTimeBeginsWithSmallMessages) {
  constexpr uint32_t kUsual = 1 << 20;
  SendBounds by_time = SendBoundsOf({.duration = std::chrono::seconds(1)}, uint64_t{1} << 40, MonotonicTime::max());
  for (uint32_t i = 0; i < 2 * kFewestReceipts; ++i) EXPECT_LE(by_time.Next(kUsual), 64u << 10);
  for (uint32_t i = 0; i < 4 * kFewestReceipts; ++i) by_time.Next(kUsual);
  EXPECT_EQ(by_time.Next(kUsual), kUsual);
  SendBounds asked_for = SendBoundsOf({.duration = std::chrono::seconds(1), .message_bytes = kUsual}, uint64_t{1} << 40,
                                      MonotonicTime::max());
  EXPECT_EQ(asked_for.Next(kUsual), kUsual) << "whoever says a size gets it";
}

TEST(StreamMeter, WhatBuffersHoldIsHandedOverAtOnce) {
  SendMeter meter;
  const MonotonicTime start = MonotonicNow();
  meter.Add(kMostBuffered - 1, start + milliseconds(1));
  EXPECT_EQ(meter.sent().past_buffers, milliseconds(0));
  meter.Add(1 << 20, start + milliseconds(500));
  EXPECT_EQ(meter.sent().past_buffers, milliseconds(0)) << "until here all of it may lie in buffers";
  meter.Add(1 << 20, start + milliseconds(900));
  EXPECT_EQ(meter.sent().past_buffers, milliseconds(400));
  EXPECT_EQ(meter.sent().bytes, kMostBuffered - 1 + (2 << 20));
}

}  // namespace
}  // namespace netsense
