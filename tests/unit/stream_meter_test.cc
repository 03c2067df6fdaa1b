// What a stream's receiver counts, and what is believed of it.
#include "transports/stream_meter.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

using std::chrono::milliseconds;

TEST(StreamMeter, TheFirstReceiptStartsTheClockAndIsNotInTheRate) {
  StreamMeter meter(milliseconds(10));
  const MonotonicTime start = MonotonicNow();
  for (int i = 0; i <= 4; ++i) meter.Add(1000, start + milliseconds(10 * i));
  const StreamSample sample = meter.Finish();
  EXPECT_EQ(sample.bytes, 5000u);
  EXPECT_EQ(sample.bytes_in_elapsed, 4000u);
  EXPECT_EQ(sample.elapsed, milliseconds(40));
  EXPECT_DOUBLE_EQ(sample.bps(), 8e5);
  EXPECT_DOUBLE_EQ(sample.min_window_bps, 8e5);
  EXPECT_DOUBLE_EQ(sample.max_window_bps, 8e5);
}

TEST(StreamMeter, OneReceiptSaysNothingOfTheRate) {
  StreamMeter meter(milliseconds(10));
  meter.Add(1000, MonotonicNow());
  EXPECT_EQ(meter.Finish().bytes, 1000u);
  EXPECT_EQ(meter.Finish().bps(), 0);
}

TEST(StreamMeter, BandwidthIsBitsOverTheReceiversTime) {
  StreamSample sample;
  sample.bytes = 1'000'100;
  sample.bytes_in_elapsed = 1'000'000;
  sample.elapsed = milliseconds(10);
  EXPECT_DOUBLE_EQ(sample.bps(), 8e8);
}

TEST(StreamMeter, AReportThatContradictsItselfIsNotBelieved) {
  StreamSample impossible;
  impossible.bytes = 10;
  impossible.bytes_in_elapsed = 11;
  EXPECT_FALSE(SampleOf(ReportOf(impossible)).ok());
}

TEST(StreamMeter, WhatComesAtOnceIsOneReceipt) {
  StreamMeter meter(std::chrono::milliseconds(100));
  const MonotonicTime now = MonotonicNow();
  for (int i = 0; i < 16; ++i) meter.Add(4096, now);
  EXPECT_EQ(meter.Finish().bytes, 16u * 4096);
  EXPECT_EQ(meter.Finish().bytes_in_elapsed, 0u);
  EXPECT_EQ(meter.Finish().bps(), 0) << "nothing can be said of bytes that all came at one instant";
  meter.Add(1000, now + std::chrono::microseconds(1));
  EXPECT_EQ(meter.Finish().bytes_in_elapsed, 1000u);
}

}  // namespace
}  // namespace netsense
