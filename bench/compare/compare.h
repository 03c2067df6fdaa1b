// Two result documents side by side: what became slower, and what is only noise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/compare/noise.h"
#include "bench/result_file.h"

namespace netsense {

// When a difference counts.
//
// With kMinRepeats or more repeats on both sides the medians must differ by more than threshold_percent, and the sides'
// intervals (noise.h) lie apart by at least kApart of their mean width, by all of it below kEnoughRepeats a side.
// With fewer, nothing is known of the noise from run to run: only few_*_percent or more counts, and of round trips only
// what is also longer than what separates an ordinary ping from a slow one (p50 and p90), and than kFewFloorUs (where a
// thread or a queue happened to be) or kFewTimes as long.
//
// And it must not be chance: among thousands of rows some differ by anything. Each row has a p value, of Student's t of
// the logarithm of B / A over its error: that of the medians by their repeats, and, from kManyRows rows of one kind and
// transport on, no less than the spread of all their logarithms (noise.h), which also knows what changed
// from one run to the other. Those count that are discoveries at kFalseDiscoveries (Benjamini and Hochberg).
struct NoiseRule {
  static constexpr size_t kMinRepeats = 3;
  static constexpr size_t kEnoughRepeats = 5;
  static constexpr double kApart = 0.25;
  static constexpr double kLostPercentagePoints = 1;  // more pings lost by this much is slower, whatever the rest says
  static constexpr double kFewFloorUs = 10;
  static constexpr double kFewTimes = 2;
  static constexpr size_t kManyRows = 20;
  static constexpr double kFalseDiscoveries = 0.05;

  double threshold_percent = 5;
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
  double to_p90 = 0;           // p90 less p50, likewise
  double samples = 0, lost = 0;
  std::string how;  // wait mode and clock: figures taken in different ways are not like for like

  size_t repeats() const { return values.size() + failed; }
  double median() const;  // of a non-empty one
};

struct Difference {
  nlohmann::json identity;  // the fields of docs/results.md that say which measurement it is
  std::string metric;       // "network_rtt_us.p50", "rtt_us.p50", "bw_gbps.avg"
  std::string unit;         // "us", "gbps"
  Side a, b;
  Verdict verdict = Verdict::kSame;
  bool noise_known = false;
  std::optional<double> change_percent;  // of the median, from A to B
  std::optional<double> p_value;         // of such a change by chance; none = nothing is known of the noise
  bool is_chance = false;                // as many rows as there are, it may be
  std::string note;
};

// Sets the verdict of each, and what it rests on, by its two sides.
void Judge(const NoiseRule& rule, std::vector<Difference>* rows);

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
