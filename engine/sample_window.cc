#include "engine/sample_window.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace netsense {

void SampleWindow::Configure(uint32_t m, double alpha) {
  m_ = m;
  alpha_ = alpha;
  while (samples_.size() > m_) samples_.pop_front();
}

void SampleWindow::Add(double sample, MonotonicTime now) {
  bool first = samples_.empty();
  samples_.push_back(sample);
  if (samples_.size() > m_) samples_.pop_front();
  newest_ = now;
  double median = Quantile(0.5);
  ewma_ = first ? median : alpha_ * median + (1 - alpha_) * ewma_;
}

void SampleWindow::Clear() { samples_.clear(); }

double SampleWindow::Quantile(double q) const {
  std::vector<double> sorted(samples_.begin(), samples_.end());
  std::sort(sorted.begin(), sorted.end());
  size_t n = sorted.size();
  if (q == 0.5 && n % 2 == 0) return (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(n)));
  return sorted[std::clamp<size_t>(rank, 1, n) - 1];
}

v1::Window SampleWindow::Summarize(MonotonicTime now) const {
  v1::Window window;
  if (samples_.empty()) return window;
  window.set_samples(static_cast<uint32_t>(samples_.size()));
  window.set_last(samples_.back());
  window.set_p50(Quantile(0.5));
  window.set_jitter(Quantile(0.95) - window.p50());
  window.set_ewma(ewma_);
  window.set_age_ms(MillisSince(newest_, now));
  return window;
}

}  // namespace netsense
