#include "engine/sample_window.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

TEST(SampleWindow, IsEmptyUntilMeasured) {
  SampleWindow window;
  EXPECT_EQ(window.Summarize().samples(), 0u);
}

TEST(SampleWindow, FollowsThePrototypesDefinitions) {
  SampleWindow window;
  window.Configure(5, 0.3);
  // Medians in turn: 10, (10+30)/2 = 20, 20, (20+30)/2 = 25, 30, then the window moves on.
  for (double sample : {10.0, 30.0, 20.0, 50.0, 40.0}) window.Add(sample);
  v1::Window summary = window.Summarize();
  EXPECT_EQ(summary.samples(), 5u);
  EXPECT_DOUBLE_EQ(summary.p50(), 30);
  EXPECT_DOUBLE_EQ(summary.jitter(), 50 - 30);  // p95 of five samples is the largest
  EXPECT_DOUBLE_EQ(summary.last(), 40);
  double ewma = 10;
  for (double median : {20.0, 20.0, 25.0, 30.0}) ewma = 0.3 * median + 0.7 * ewma;
  EXPECT_DOUBLE_EQ(summary.ewma(), ewma);
}

TEST(SampleWindow, KeepsTheLastM) {
  SampleWindow window;
  window.Configure(3, 1);
  for (double sample : {1.0, 2.0, 3.0, 100.0, 200.0}) window.Add(sample);
  EXPECT_DOUBLE_EQ(window.Summarize().p50(), 100);
  window.Configure(1, 1);
  EXPECT_DOUBLE_EQ(window.Summarize().p50(), 200);
}

TEST(SampleWindow, KnowsItsAge) {
  SampleWindow window;
  MonotonicTime start = MonotonicNow();
  window.Add(1, start);
  EXPECT_EQ(window.Summarize(start + std::chrono::milliseconds(1234)).age_ms(), 1234);
}

TEST(SampleWindow, StartsAnewAfterClear) {
  SampleWindow window;
  window.Configure(3, 0.1);
  window.Add(1000);
  window.Clear();
  window.Add(5);
  EXPECT_DOUBLE_EQ(window.Summarize().ewma(), 5);
}

}  // namespace
}  // namespace netsense
