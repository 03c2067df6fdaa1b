// Durations counted in a few fixed buckets and never cleared, so that what is shown of it never goes down.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "netsense/measurement.pb.h"

namespace netsense {

// Upper ends of the buckets, included: 1, 2, 5 in each decade from 1 us to 10 s. This is the one place that says so;
// other processes hear it from EngineInfo.histogram_bounds_ns.
inline constexpr std::array<uint64_t, 22> kHistogramBoundsNs = [] {
  std::array<uint64_t, 22> bounds{};
  uint64_t decade = 1000;
  for (size_t i = 0; i < bounds.size(); ++i) {
    constexpr uint64_t kSteps[] = {1, 2, 5};
    bounds[i] = decade * kSteps[i % 3];
    if (i % 3 == 2) decade *= 10;
  }
  return bounds;
}();

class CumulativeHistogram {
 public:
  void Add(std::chrono::nanoseconds value);
  v1::CumulativeHistogram Export() const;

 private:
  std::array<uint64_t, kHistogramBoundsNs.size() + 1> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ns_ = 0;
};

}  // namespace netsense
