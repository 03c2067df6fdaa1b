#include "engine/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/cumulative_histogram.h"

namespace netsense {
namespace {

using std::chrono::nanoseconds;

TEST(Histogram, QuantilesAreWithinTheStatedError) {
  for (int sub_bits : {5, 8}) {
    Histogram histogram(sub_bits);
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> skewed(11, 2);
    std::vector<uint64_t> values;
    for (int i = 0; i < 100'000; ++i) {
      auto value = static_cast<uint64_t>(skewed(random));
      values.push_back(value);
      histogram.Add(nanoseconds(static_cast<int64_t>(value)));
    }
    std::sort(values.begin(), values.end());
    double bound = std::pow(2.0, -(sub_bits + 1));
    for (double q : {0.001, 0.5, 0.9, 0.99, 0.999}) {
      auto exact = static_cast<double>(values[static_cast<size_t>(std::ceil(q * 100'000)) - 1]);
      EXPECT_NEAR(static_cast<double>(histogram.Quantile(q)), exact, exact * bound + 1)
          << "q " << q << " bits " << sub_bits;
    }
    v1::Distribution summary = histogram.Summarize();
    EXPECT_EQ(summary.min_ns(), values.front());
    EXPECT_EQ(summary.max_ns(), values.back());
    EXPECT_EQ(summary.count(), 100'000u);
  }
}

TEST(Histogram, MeanAndDeviationAreExact) {
  Histogram histogram;
  for (int value : {2, 4, 4, 4, 5, 5, 7, 9}) histogram.Add(nanoseconds(value));
  EXPECT_DOUBLE_EQ(histogram.Summarize().mean_ns(), 5);
  EXPECT_NEAR(histogram.Summarize().stdev_ns(), std::sqrt(32.0 / 7), 1e-12);  // sample standard deviation
}

TEST(Histogram, MergingEqualsAddingAll) {
  Histogram a, b, all;
  for (int i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? a : b).Add(nanoseconds(i * 997));
    all.Add(nanoseconds(i * 997));
  }
  a.Add(b);
  EXPECT_EQ(a.Quantile(0.5), all.Quantile(0.5));
  EXPECT_EQ(a.Quantile(1), all.Quantile(1));
  EXPECT_NEAR(a.Summarize().mean_ns(), all.Summarize().mean_ns(), 1e-6);
  EXPECT_NEAR(a.Summarize().stdev_ns(), all.Summarize().stdev_ns(), 1e-6);
  EXPECT_EQ(a.Summarize().min_ns(), 997u);
}

TEST(Histogram, TakesEveryValue) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
  histogram.Add(nanoseconds(-5));
  histogram.Add(nanoseconds::max());
  EXPECT_EQ(histogram.Summarize().min_ns(), 0u);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
}

TEST(RollingHistogram, ForgetsWhatIsOld) {
  RollingHistogram rolling;
  MonotonicTime start = MonotonicNow();
  rolling.Add(nanoseconds(1000), start);
  rolling.Add(nanoseconds(2000), start + std::chrono::minutes(6));
  EXPECT_EQ(rolling.Summarize(start + std::chrono::minutes(6)).count(), 2u);
  rolling.Add(nanoseconds(3000), start + std::chrono::minutes(12));
  v1::Distribution summary = rolling.Summarize(start + std::chrono::minutes(12));
  EXPECT_EQ(summary.count(), 2u);
  EXPECT_EQ(summary.min_ns(), 2000u);
  EXPECT_EQ(summary.span_ms(), 6u * 60 * 1000);
}

TEST(RollingHistogram, DropsBothHalvesAfterALongPause) {
  RollingHistogram rolling;
  MonotonicTime start = MonotonicNow();
  rolling.Add(nanoseconds(1000), start);
  rolling.Add(nanoseconds(3000), start + std::chrono::hours(3));
  v1::Distribution summary = rolling.Summarize(start + std::chrono::hours(3));
  EXPECT_EQ(summary.count(), 1u);
  EXPECT_EQ(summary.span_ms(), 0u);
}

TEST(CumulativeHistogramTest, ABoundBelongsToTheBucketBelowIt) {
  CumulativeHistogram histogram;
  for (auto ns : {-5, 0, 1000, 1001, 2000}) histogram.Add(nanoseconds(ns));
  const v1::CumulativeHistogram exported = histogram.Export();
  EXPECT_THAT(exported.buckets(), testing::ElementsAre(3, 2));
  EXPECT_EQ(exported.count(), 5u);
  EXPECT_EQ(exported.sum_ns(), 4001u);
}

TEST(CumulativeHistogramTest, ReachesFromAMicrosecondToTenSecondsAndBeyond) {
  EXPECT_EQ(kHistogramBoundsNs.front(), 1000u);
  EXPECT_EQ(kHistogramBoundsNs.back(), 10'000'000'000u);
  EXPECT_TRUE(std::is_sorted(kHistogramBoundsNs.begin(), kHistogramBoundsNs.end()));
  CumulativeHistogram histogram;
  histogram.Add(std::chrono::seconds(10));
  histogram.Add(std::chrono::hours(1));
  const v1::CumulativeHistogram exported = histogram.Export();
  constexpr int kLast = static_cast<int>(kHistogramBoundsNs.size());
  ASSERT_EQ(exported.buckets_size(), kLast + 1);
  EXPECT_EQ(exported.buckets(kLast - 1), 1u);
  EXPECT_EQ(exported.buckets(kLast), 1u);
}

}  // namespace
}  // namespace netsense
