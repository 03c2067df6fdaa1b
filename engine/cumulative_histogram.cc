#include "engine/cumulative_histogram.h"

#include <algorithm>

namespace netsense {

void CumulativeHistogram::Add(std::chrono::nanoseconds value) {
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(value.count(), 0));
  const auto bound = std::lower_bound(kHistogramBoundsNs.begin(), kHistogramBoundsNs.end(), ns);
  ++buckets_[static_cast<size_t>(bound - kHistogramBoundsNs.begin())];
  ++count_;
  sum_ns_ += ns;
}

v1::CumulativeHistogram CumulativeHistogram::Export() const {
  v1::CumulativeHistogram exported;
  exported.set_count(count_);
  exported.set_sum_ns(sum_ns_);
  auto end = buckets_.end();
  while (end != buckets_.begin() && *(end - 1) == 0) --end;
  exported.mutable_buckets()->Assign(buckets_.begin(), end);
  return exported;
}

}  // namespace netsense
