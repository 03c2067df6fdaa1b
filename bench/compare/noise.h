// What a few repeats tell of a median, and what of many differences is chance. Pure.
#pragma once

#include <optional>
#include <vector>

namespace netsense {

struct Interval {
  double low, high;
};
// Holds the median of what the values are drawn from with 95 % or, below six of them, as often as their whole range
// does; by order statistics (Conover, Practical Nonparametric Statistics). Of sorted, non-empty values.
Interval MedianInterval(const std::vector<double>& sorted);

// Standard error of the median of sorted values: that interval's length by that of a normal distribution's with the
// same probability (Price and Bonett, Estimating the variance of the sample median, J. Stat. Comput. Simul. 68, 2001).
// None for fewer than two values.
std::optional<double> MedianError(const std::vector<double>& sorted);

// Standard deviation of those values that lie closest together, were they normal: from the shortest interval that holds
// half of them (Rousseeuw and Leroy, A robust scale estimator based on the shortest half, Stat. Neerl. 42, 1988). What
// the other half does, does not show. Of non-empty values.
double SpreadOfHalf(std::vector<double> values);

// The same, were they normal around 0, by the nearer of their 5th and 95th percentiles; 0 where these are on one side.
// Noise goes both ways, and its tails may be far heavier than its middle; what changed all one way does not show.
double SpreadOfTails(std::vector<double> values);

// P(|T| >= |t|) for Student's t with `freedom` >= 1 degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).
double StudentP(double t, int freedom);

// Which hypotheses are rejected, so that of all that are no more than `rate` are expected to be true ones (Benjamini
// and Hochberg, Controlling the false discovery rate, J. R. Stat. Soc. B 57, 1995). In the order of `p`.
std::vector<bool> Discoveries(const std::vector<double>& p, double rate);

}  // namespace netsense
