// The last M samples of one quantity, with the statistics that Ray's prototype defined: the median of the window,
// jitter = p95 - p50 of the same window (nearest rank), and an EWMA of the successive medians, ewma <- alpha * p50 + (1
// - alpha) * ewma.
#pragma once

#include <cstdint>
#include <deque>

#include "base/clock.h"
#include "netsense/measurement.pb.h"

namespace netsense {

class SampleWindow {
 public:
  // Changing M keeps the newest samples.
  void Configure(uint32_t m, double alpha);
  void Add(double sample, MonotonicTime now = MonotonicNow());
  void Clear();
  v1::Window Summarize(MonotonicTime now = MonotonicNow()) const;

 private:
  double Quantile(double q) const;

  uint32_t m_ = 5;
  double alpha_ = 0.3;
  std::deque<double> samples_;
  double ewma_ = 0;
  MonotonicTime newest_{};
};

}  // namespace netsense
