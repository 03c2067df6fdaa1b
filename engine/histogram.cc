#include "engine/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "netsense/order.pb.h"

namespace netsense {
namespace {

constexpr int kMaxBits = 38;  // 274 s; longer ones count as that in the quantiles
constexpr std::chrono::minutes kHalf{5};

}  // namespace

Histogram::Histogram(int sub_bits)
    : sub_bits_(sub_bits), counts_(static_cast<size_t>(kMaxBits - sub_bits + 1) << sub_bits) {}

// Values below 2^sub_bits have a bucket each; above, the leading bit chooses the octave and the next sub_bits the
// bucket in it.
size_t Histogram::Index(uint64_t value) const {
  value = std::min(value, (uint64_t{1} << kMaxBits) - 1);
  int octave = std::max(static_cast<int>(std::bit_width(value)) - sub_bits_, 0);
  if (octave == 0) return value;
  uint64_t within = (value >> (octave - 1)) - (uint64_t{1} << sub_bits_);
  return (static_cast<size_t>(octave) << sub_bits_) + within;
}

uint64_t Histogram::Middle(size_t index) const {
  size_t octave = index >> sub_bits_;
  if (octave == 0) return index;
  uint64_t within = index & ((uint64_t{1} << sub_bits_) - 1);
  uint64_t width = uint64_t{1} << (octave - 1);
  return ((uint64_t{1} << sub_bits_) + within) * width + width / 2;
}

void Histogram::Add(std::chrono::nanoseconds value) {
  uint64_t ns = static_cast<uint64_t>(std::max<int64_t>(value.count(), 0));
  uint32_t& bucket = counts_[Index(ns)];
  if (bucket < std::numeric_limits<uint32_t>::max()) ++bucket;
  min_ = count_ == 0 ? ns : std::min(min_, ns);
  max_ = std::max(max_, ns);
  ++count_;
  double delta = static_cast<double>(ns) - mean_;
  mean_ += delta / static_cast<double>(count_);
  m2_ += delta * (static_cast<double>(ns) - mean_);
}

// Chan et al., "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
void Histogram::Add(const Histogram& other) {
  if (other.count_ == 0) return;
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  double a = static_cast<double>(count_), b = static_cast<double>(other.count_);
  double delta = other.mean_ - mean_;
  mean_ += delta * b / (a + b);
  m2_ += other.m2_ + delta * delta * a * b / (a + b);
  count_ += other.count_;
}

void Histogram::Clear() { *this = Histogram(sub_bits_); }

uint64_t Histogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_)));
  rank = std::clamp<uint64_t>(rank, 1, count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::clamp(Middle(i), min_, max_);
  }
  return max_;
}

Histogram::Interval Histogram::MedianInterval() const {
  if (count_ == 0) return {};
  const auto n = static_cast<double>(count_);
  const double reach = 1.96 * std::sqrt(n) / 2;
  return {Quantile(std::max(n / 2 - reach, 1.0) / n), Quantile(std::min(n / 2 + 1 + reach, n) / n)};
}

v1::Distribution Histogram::Summarize() const {
  v1::Distribution summary;
  summary.set_count(count_);
  summary.set_min_ns(min_);
  summary.set_max_ns(max_);
  summary.set_mean_ns(mean_);
  summary.set_stdev_ns(count_ > 1 ? std::sqrt(m2_ / static_cast<double>(count_ - 1)) : 0);
  summary.set_p50_ns(Quantile(0.5));
  summary.set_p90_ns(Quantile(0.9));
  summary.set_p99_ns(Quantile(0.99));
  summary.set_p999_ns(Quantile(0.999));
  return summary;
}

v1::HistogramCounts Histogram::Export() const {
  v1::HistogramCounts exported;
  exported.set_sub_bits(static_cast<uint32_t>(sub_bits_));
  exported.set_count(count_);
  exported.set_min(min_);
  exported.set_max(max_);
  exported.set_mean(mean_);
  exported.set_squares(m2_);
  size_t last = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    exported.add_steps(static_cast<uint32_t>(i - last));
    exported.add_counts(counts_[i]);
    last = i;
  }
  return exported;
}

absl::StatusOr<Histogram> Histogram::Import(const v1::HistogramCounts& exported) {
  constexpr uint32_t kMostSubBits = 10;
  if (exported.sub_bits() > kMostSubBits || exported.steps_size() != exported.counts_size())
    return absl::InvalidArgumentError("that is no histogram");
  Histogram histogram(static_cast<int>(exported.sub_bits()));
  uint64_t index = 0, sum = 0;
  for (int i = 0; i < exported.steps_size(); ++i) {
    if (i > 0 && exported.steps(i) == 0)
      return absl::InvalidArgumentError("a histogram with a bucket that is told twice");
    index += exported.steps(i);
    if (index >= histogram.counts_.size()) return absl::InvalidArgumentError("a histogram with too large a bucket");
    histogram.counts_[index] = exported.counts(i);
    sum += exported.counts(i);
  }
  if (sum != exported.count() || exported.min() > exported.max() || !std::isfinite(exported.mean()) ||
      !std::isfinite(exported.squares()) || exported.squares() < 0)
    return absl::InvalidArgumentError("a histogram that contradicts itself");
  histogram.count_ = exported.count();
  histogram.min_ = exported.min();
  histogram.max_ = exported.max();
  histogram.mean_ = exported.mean();
  histogram.m2_ = exported.squares();
  return histogram;
}

void RollingHistogram::Add(std::chrono::nanoseconds value, MonotonicTime now) {
  if (newer_.count() == 0 && older_.count() == 0) older_since_ = newer_since_ = now;
  if (now - newer_since_ >= kHalf) {
    older_ = std::exchange(newer_, Histogram());
    older_since_ = std::exchange(newer_since_, now);
    if (now - older_since_ >= 2 * kHalf) older_.Clear();  // nothing came for long: what is older says nothing of today
    if (older_.count() == 0) older_since_ = now;
  }
  newer_.Add(value);
}

v1::Distribution RollingHistogram::Summarize(MonotonicTime now) const {
  Histogram both = older_;
  both.Add(newer_);
  v1::Distribution summary = both.Summarize();
  if (both.count() > 0) summary.set_span_ms(static_cast<uint64_t>(MillisSince(older_since_, now)));
  return summary;
}

}  // namespace netsense
