// Two result documents side by side: what became slower, and what is only noise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/result_file.h"

namespace netsense {

// When a difference counts. With kMinRepeats or more repeats on both sides it counts if the medians of the repeats
// differ by more than threshold_percent and the sides' intervals lie apart, by at least kApart of their mean width (by
// all of it below kEnoughRepeats a side). An interval holds the median of its side's repeats with 95 % by order
// statistics; below six repeats it is the whole range. Simulated with normal noise and five repeats a side: at 2 % of
// noise 1 false alarm in more than 4000 rows and 97 % of slowdowns by 10 % found; at 5 % of noise 1 in 500 and 19 %.
struct NoiseRule {
  static constexpr size_t kMinRepeats = 3;
  static constexpr size_t kEnoughRepeats = 5;
  static constexpr double kApart = 0.25;
  static constexpr double kLostPercentagePoints = 1;  // more pings lost by this much is slower, whatever the rest says

  double threshold_percent = 5;
  // Without enough repeats nothing is known of the noise from run to run; then only more than this counts.
  double few_ping_percent = 25;
  double few_bw_percent = 15;

  std::string Text() const;
};

enum class Verdict { kSame, kFaster, kSlower, kFailedInA, kFailedInB, kFailedInBoth, kMissingInA, kMissingInB };
const char* Name(Verdict verdict);

// The repeats of one measurement in one document.
struct Side {
  std::vector<double> values;  // sorted
  size_t failed = 0;           // repeats without the figure
  std::string error;           // of the first failed one
  std::optional<double> p99;   // median over the repeats; ping only
  double samples = 0, lost = 0;
  std::string how;  // wait mode and clock: figures taken in different ways are not like for like

  size_t repeats() const { return values.size() + failed; }
  double median() const;  // of a non-empty one
};

struct Interval {
  double low, high;
};
// Of sorted, non-empty values.
Interval MedianInterval(const std::vector<double>& sorted);

struct Difference {
  nlohmann::json identity;  // the fields of docs/results.md that say which measurement it is
  std::string metric;       // "network_rtt_us.p50", "rtt_us.p50", "bw_gbps.avg"
  std::string unit;         // "us", "gbps"
  Side a, b;
  Verdict verdict = Verdict::kSame;
  bool noise_known = false;
  std::optional<double> change_percent;  // of the median, from A to B
  std::string note;
};

struct Comparison {
  std::vector<Difference> rows;  // in the order of A, then what only B has
  size_t Count(Verdict verdict) const;
  bool AnythingWorse() const { return Count(Verdict::kSlower) > 0 || Count(Verdict::kFailedInB) > 0; }
};

// `ignored` names fields of the identity that do not tell measurements apart ("target" where only a port differs).
// InvalidArgument when the two have no measurement in common, or an ignored field is none.
absl::StatusOr<Comparison> Compare(const ResultFile& a, const ResultFile& b, const NoiseRule& rule,
                                   const std::vector<std::string>& ignored = {});

// For people; every row with `all`, else without what is the same when there is much of it.
std::string ComparisonTable(const Comparison& comparison, const NoiseRule& rule, bool all);
// {schema_version, command, a, b, rule, summary, rows[]}.
nlohmann::json ComparisonJson(const Comparison& comparison, const NoiseRule& rule, const ResultFile& a,
                              const ResultFile& b);

}  // namespace netsense
