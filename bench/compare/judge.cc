// Which differences count.
#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/compare/compare.h"
#include "fmt/format.h"

namespace netsense {
namespace {

double LostPercent(const Side& side) {
  const double sent = side.samples + side.lost;
  return sent > 0 ? 100 * side.lost / sent : 0;
}

// Whether the intervals lie far enough apart.
bool Apart(const Side& a, const Side& b) {
  const Interval in_a = MedianInterval(a.values), in_b = MedianInterval(b.values);
  const double gap = std::max(in_b.low - in_a.high, in_a.low - in_b.high);
  const double width = (in_a.high - in_a.low + in_b.high - in_b.low) / 2;
  const bool enough = std::min(a.values.size(), b.values.size()) >= NoiseRule::kEnoughRepeats;
  return gap > 0 && gap >= width * (enough ? NoiseRule::kApart : 1);
}

// Whether a difference without enough repeats is more than where a thread or a queue happened to be.
bool CountsWithFew(const NoiseRule& rule, const Difference& row) {
  const double a = row.a.median(), b = row.b.median(), change = std::abs(*row.change_percent);
  if (row.unit != "us") return change > std::max(rule.threshold_percent, rule.few_bw_percent);
  const double longer = std::abs(b - a);
  return change > std::max(rule.threshold_percent, rule.few_ping_percent) &&
         longer > std::max(row.a.to_p90, row.b.to_p90) &&
         (longer > NoiseRule::kFewFloorUs || std::max(a / b, b / a) > NoiseRule::kFewTimes);
}

// How much two medians of one thing differ by chance, as a part of it.
constexpr double kResolution = 0.002;  // of a histogram's bucket
std::optional<double> ErrorOfRepeats(const Difference& row) {
  if (!row.noise_known) return {};
  return std::hypot(*MedianError(row.a.values) / row.a.median(), *MedianError(row.b.values) / row.b.median());
}

// Sets noise_known, change_percent, p_value and is_chance of all rows that both documents have.
void FindChance(std::vector<Difference>* rows) {
  constexpr int kFreedomOfMany = 4;  // of a spread among many rows, whose tails are heavier than a normal one's
  std::map<std::string, std::vector<double>> logarithms;  // by what is alike
  auto kin_of = [](const Difference& row) {
    return absl::StrCat(TextOf(row.identity, "kind"), " ", TextOf(row.identity, "transport"), " ",
                        TextOf(row.identity, "load"));
  };
  for (Difference& row : *rows) {
    if (row.a.values.empty() || row.b.values.empty()) continue;
    row.change_percent = 100 * (row.b.median() / row.a.median() - 1);
    row.noise_known = std::min(row.a.values.size(), row.b.values.size()) >= NoiseRule::kMinRepeats;
    logarithms[kin_of(row)].push_back(std::log(row.b.median() / row.a.median()));
  }
  std::map<std::string, double> spreads;
  for (auto& [kin, values] : logarithms)
    if (values.size() >= NoiseRule::kManyRows) spreads[kin] = std::max(SpreadOfHalf(values), SpreadOfTails(values));
  std::vector<Difference*> tested;
  std::vector<double> p_values;
  for (Difference& row : *rows) {
    if (!row.change_percent) continue;
    const auto spread = spreads.find(kin_of(row));
    const std::optional<double> of_repeats = ErrorOfRepeats(row);
    if (spread == spreads.end() && !of_repeats) continue;
    int freedom = 0;
    double error = kResolution;
    if (spread != spreads.end()) {
      freedom += kFreedomOfMany;
      error = std::max(error, spread->second);
    }
    if (of_repeats) {
      freedom += static_cast<int>(row.a.values.size() + row.b.values.size()) - 2;
      error = std::max(error, *of_repeats);
    }
    row.p_value = StudentP(std::log(row.b.median() / row.a.median()) / error, freedom);
    tested.push_back(&row);
    p_values.push_back(*row.p_value);
  }
  const std::vector<bool> discoveries = Discoveries(p_values, NoiseRule::kFalseDiscoveries);
  for (size_t i = 0; i < tested.size(); ++i) tested[i]->is_chance = !discoveries[i];
}

void JudgeOne(const NoiseRule& rule, Difference* row) {
  const bool is_ping = row->unit == "us";
  std::vector<std::string> notes;
  if (!row->note.empty()) notes.push_back(row->note);
  if (row->a.how != row->b.how && !row->a.values.empty() && !row->b.values.empty())
    notes.push_back(absl::StrCat("measured differently (clock/prober/responder): ", row->a.how, ", ", row->b.how));
  for (const auto& [name, side] : {std::pair("A", &row->a), std::pair("B", &row->b)})
    if (side->failed > 0)
      notes.push_back(fmt::format("{}: {} of {} failed: {}", name, side->failed, side->repeats(), side->error));

  const bool a_good = row->a.failed == 0 && row->a.repeats() > 0, b_good = row->b.failed == 0 && row->b.repeats() > 0;
  if (row->a.repeats() == 0) {
    row->verdict = Verdict::kMissingInA;
  } else if (row->b.repeats() == 0) {
    row->verdict = Verdict::kMissingInB;
  } else if (row->a.values.empty() && row->b.values.empty()) {
    row->verdict = Verdict::kFailedInBoth;
  } else if (row->b.values.empty() || (a_good && !b_good)) {
    row->verdict = Verdict::kFailedInB;
  } else if (row->a.values.empty()) {
    row->verdict = Verdict::kFailedInA;
  }
  if (!row->a.values.empty() && !row->b.values.empty()) {
    const bool differs = row->noise_known
                             ? std::abs(*row->change_percent) > rule.threshold_percent && Apart(row->a, row->b)
                             : CountsWithFew(rule, *row);
    if (row->verdict == Verdict::kSame && differs && row->is_chance)
      notes.push_back(fmt::format("of so many rows one may differ so much by chance (p = {:.2g})", *row->p_value));
    else if (row->verdict == Verdict::kSame && differs)
      row->verdict = (*row->change_percent > 0) == is_ping ? Verdict::kSlower : Verdict::kFaster;
    const double lost_a = LostPercent(row->a), lost_b = LostPercent(row->b);
    if (std::abs(lost_b - lost_a) > NoiseRule::kLostPercentagePoints) {
      notes.push_back(fmt::format("lost {:.3g} % of pings in A, {:.3g} % in B", lost_a, lost_b));
      if (lost_b > lost_a && row->verdict != Verdict::kFailedInB) row->verdict = Verdict::kSlower;
    }
  }
  row->note = absl::StrJoin(notes, "; ");
}

}  // namespace

void Judge(const NoiseRule& rule, std::vector<Difference>* rows) {
  FindChance(rows);
  for (Difference& row : *rows) JudgeOne(rule, &row);
}

std::string NoiseRule::Text() const {
  return fmt::format(
      "With {} or more repeats in both, a difference counts if the medians of the repeats differ by more than {} % and "
      "the 95 % intervals of the two medians (the whole range below six repeats) lie apart, by a quarter of their mean "
      "width or more (by all of it below {} repeats). With fewer repeats the noise from run to run is not known: only "
      "more than {} % (ping) or {} % (bw) counts, and of round trips only what is {} us or {} times longer, and by "
      "more "
      "than lies between p50 and p90. In any case it must be no chance among so many rows: of what counts, {} % at "
      "most "
      "are expected to be false (Benjamini and Hochberg). Losing {} percentage point more of the pings is slower, and "
      "so "
      "is no figure where A has one (failed). p99 is shown and not judged.",
      kMinRepeats, threshold_percent, kEnoughRepeats, std::max(threshold_percent, few_ping_percent),
      std::max(threshold_percent, few_bw_percent), kFewFloorUs, kFewTimes, 100 * kFalseDiscoveries,
      kLostPercentagePoints);
}

}  // namespace netsense
