// Durations in bounded memory: a log-linear histogram, each power of two cut into 2^sub_bits equal buckets (as
// HdrHistogram does), so that a quantile is off by at most 2^-(sub_bits+1) of itself. Minimum, maximum, count, mean and
// standard deviation are exact.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "netsense/measurement.pb.h"

namespace netsense {

namespace v1 {
class HistogramCounts;
}

class Histogram {
 public:
  // 5: 1.6 % and 4 KB; 8: 0.2 % and 30 KB.
  explicit Histogram(int sub_bits = 5);

  void Add(std::chrono::nanoseconds value);
  void Add(const Histogram& other);  // same sub_bits
  void Clear();

  uint64_t count() const { return count_; }
  // The smallest value that at least the share `q` of all values do not exceed (nearest rank), 0 < q <= 1; 0 when
  // empty.
  uint64_t Quantile(double q) const;
  v1::Distribution Summarize() const;  // without span_ms

  // Holds the median of what was sampled from with 95 %, whatever its distribution (order statistics: Conover,
  // "Practical Nonparametric Statistics", 3.2); 0 and 0 when empty. Samples that depend on each other make it too
  // narrow.
  struct Interval {
    uint64_t low = 0, high = 0;
  };
  Interval MedianInterval() const;

  // Whole, for another process. InvalidArgument for what no Export() gave.
  v1::HistogramCounts Export() const;
  static absl::StatusOr<Histogram> Import(const v1::HistogramCounts& exported);

 private:
  size_t Index(uint64_t value) const;
  uint64_t Middle(size_t index) const;

  int sub_bits_;
  std::vector<uint32_t> counts_;
  uint64_t count_ = 0;
  uint64_t min_ = 0;
  uint64_t max_ = 0;
  double mean_ = 0;
  double m2_ = 0;  // Welford's sum of squared differences
};

// The last 5 to 10 minutes: two halves, the older one is dropped when the newer one is 5 minutes old.
class RollingHistogram {
 public:
  void Add(std::chrono::nanoseconds value, MonotonicTime now = MonotonicNow());
  v1::Distribution Summarize(MonotonicTime now = MonotonicNow()) const;

 private:
  Histogram older_, newer_;
  MonotonicTime older_since_{}, newer_since_{};
};

}  // namespace netsense
