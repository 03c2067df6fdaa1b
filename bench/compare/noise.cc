#include "bench/compare/noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace netsense {
namespace {

struct Ranks {
  size_t k = 0;        // the interval leaves out so many values at either end
  double outside = 0;  // probability that the median lies outside of it
};

Ranks RanksOf(size_t n) {
  // P(the median lies outside [x(k+1), x(n-k)]) = 2 P(Binomial(n, 1/2) <= k); the largest k that leaves 95 %.
  size_t k = 0;
  double log_exactly = -std::log(2.0) * static_cast<double>(n);  // of P(exactly k), which may be less than a double has
  double below = std::exp(log_exactly);                          // P(at most k)
  double outside = 2 * below;
  while (2 * (k + 1) < n) {
    log_exactly += std::log(static_cast<double>(n - k) / static_cast<double>(k + 1));
    below += std::exp(log_exactly);
    if (2 * below > 0.05) break;
    outside = 2 * below;
    ++k;
  }
  return {k, outside};
}

// The z beyond which, at both ends together, a normal distribution has `outside`.
double NormalZ(double outside) {
  double low = 0, high = 40;
  for (int i = 0; i < 60; ++i) {
    const double z = (low + high) / 2;
    (std::erfc(z / std::numbers::sqrt2) > outside ? low : high) = z;
  }
  return low;
}

constexpr double kHalfOfNormal = 2 * 0.6745;  // standard deviations that the middle half of a normal distribution spans
constexpr double kTailOfNormal = 1.645;       // beyond which 5 % of it lie, at one end

}  // namespace

Interval MedianInterval(const std::vector<double>& sorted) {
  const size_t k = RanksOf(sorted.size()).k;
  return {sorted[k], sorted[sorted.size() - 1 - k]};
}

std::optional<double> MedianError(const std::vector<double>& sorted) {
  if (sorted.size() < 2) return {};
  const Interval interval = MedianInterval(sorted);
  return (interval.high - interval.low) / (2 * NormalZ(RanksOf(sorted.size()).outside));
}

double SpreadOfHalf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;  // from one of them to the last of half of them
  double shortest = values.back() - values.front();
  for (size_t i = 0; i + half < values.size(); ++i) shortest = std::min(shortest, values[i + half] - values[i]);
  return shortest / kHalfOfNormal;
}

double SpreadOfTails(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t beyond = values.size() / 20;
  const double lower = -values[beyond], upper = values[values.size() - 1 - beyond];
  return std::max(0.0, std::min(lower, upper)) / kTailOfNormal;
}

double StudentP(double t, int freedom) {
  const double angle = std::atan(std::abs(t) / std::sqrt(freedom));
  const double cos = std::cos(angle), sin = std::sin(angle);
  // A(t|freedom), the probability between -t and t.
  double sum = freedom == 1 ? 0 : 1, term = 1;
  for (int i = freedom % 2 == 1 ? 3 : 2; i < freedom; i += 2) {
    term *= cos * cos * (i - 1) / i;
    sum += term;
  }
  const double within = freedom % 2 == 1 ? 2 / std::numbers::pi * (angle + sin * cos * sum) : sin * sum;
  return std::clamp(1 - within, 0.0, 1.0);
}

std::vector<bool> Discoveries(const std::vector<double>& p, double rate) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&p](size_t x, size_t y) { return p[x] < p[y]; });
  size_t found = 0;
  for (size_t i = 0; i < order.size(); ++i)
    if (p[order[i]] <= rate * static_cast<double>(i + 1) / static_cast<double>(p.size())) found = i + 1;
  std::vector<bool> discoveries(p.size());
  for (size_t i = 0; i < found; ++i) discoveries[order[i]] = true;
  return discoveries;
}

}  // namespace netsense
