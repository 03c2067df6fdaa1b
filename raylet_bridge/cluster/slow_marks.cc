#include "raylet_bridge/cluster/slow_marks.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

namespace netsense {
namespace {

// Others may write what they like into their reports: classes beyond these are not judged.
constexpr size_t kMostClasses = 512;
constexpr double kUsPerMs = 1000;
constexpr double kMostFigure = 1e12;  // Mb/s or ms: beyond this it is nonsense
// How near to the median the smoothed figure has to have come, by what is usual: with bw_alpha as by default some six
// rounds after the last good one.
constexpr double kSettled = 0.15;
constexpr double kLeastMbps = 1e-3;  // what carries less is so many times slower

std::string RateWords(double mbps) {
  return mbps >= 1000 ? fmt::format("{:.3g} Gb/s", mbps / 1000) : fmt::format("{:.3g} Mb/s", mbps);
}
std::string TimeWords(double ms) {
  return ms >= 10 ? fmt::format("{:.3g} ms", ms) : fmt::format("{:.3g} µs", ms * kUsPerMs);
}

struct Range {
  double low, high;
};
struct BandwidthRange : Range {
  double best;  // of the last probes
};
struct RttRange : Range {
  double quickest;  // of the last minutes
};

// Of the window's median, the smoothed figure, and for round trips the median of the last minutes; nothing where it
// does not count.
std::optional<BandwidthRange> BandwidthOf(const ReportEdge& edge, int64_t since_ms) {
  if (!edge.bw_p50_mbps || !BandwidthCounts(edge, since_ms)) return {};
  if (edge.bw_samples < std::min(SlowMarks::kFewestProbes, edge.bw_window)) return {};
  const double newest = edge.bw_mbps.value_or(*edge.bw_p50_mbps);
  const auto [low, high] = std::minmax(newest, *edge.bw_p50_mbps);
  return BandwidthRange{{low, high}, edge.bw_best_mbps.value_or(high)};
}

std::optional<RttRange> RttOf(const ReportEdge& edge) {
  const auto& minutes = edge.rtt_distribution_ms;
  if (!edge.rtt_p50_ms || !minutes || minutes->count < SlowMarks::kFewestPings ||
      minutes->span_ms < SlowMarks::kShortestSpanMs)
    return {};
  const auto [low, high] = std::minmax({*edge.rtt_p50_ms, edge.rtt_ms.value_or(*edge.rtt_p50_ms), minutes->p50});
  return RttRange{{low, high}, minutes->min};
}

}  // namespace

void SlowMarks::Usual::Add(double figure, size_t src, size_t dst) {
  values.push_back(static_cast<float>(figure));
  if (edges_of.size() <= std::max(src, dst)) edges_of.resize(std::max(src, dst) + 1);
  ++edges_of[src];
  ++edges_of[dst];
}

void SlowMarks::Usual::Conclude(bool high_is_better, size_t place_of_few) {
  if (values.size() < 2) return;  // alone in its class
  const auto all = static_cast<uint32_t>(values.size());
  is_best = 2 * *std::max_element(edges_of.begin(), edges_of.end()) > all;
  auto at = [&](size_t place) {
    const auto found = values.begin() + static_cast<std::ptrdiff_t>(std::min(place, values.size() - 1));
    if (high_is_better)
      std::nth_element(values.begin(), found, values.end(), std::greater<>());
    else
      std::nth_element(values.begin(), found, values.end());
    return *found;
  };
  best = at(0);
  value = at(is_best ? place_of_few : (values.size() - 1) / 2);  // of an even number the better one of the two
  values = {};
  edges_of = {};
}

SlowMarks::Key SlowMarks::KeyOf(const ReportEdge& edge) {
  return {edge.transport, edge.fabric, edge.cross_rail, edge.bw_expected_mbps.value_or(0)};
}

bool SlowMarks::OfOneClass(const ReportEdge& a, const ReportEdge& b) {
  return a.bw_expected_mbps == b.bw_expected_mbps && a.cross_rail == b.cross_rail && a.transport == b.transport &&
         a.fabric == b.fabric;
}

void SlowMarks::Add(const ReportEdge& edge, size_t src, size_t dst, int64_t since_ms) {
  if (last_edge_ == nullptr || !OfOneClass(*last_edge_, edge)) {
    const Key key = KeyOf(edge);
    if (classes_.size() >= kMostClasses && !classes_.contains(key)) return;
    last_class_ = &classes_[key];
    last_edge_ = &edge;
  }
  Class& of = *last_class_;
  if (const auto bandwidth = BandwidthOf(edge, since_ms); bandwidth && bandwidth->low < kMostFigure) {
    of.bandwidth_mbps.Add(bandwidth->low, src, dst);
    if (edge.bw_expected_mbps && !rules_.IsSlow(bandwidth->low, *edge.bw_expected_mbps)) of.reaches_expected = true;
  }
  if (const auto rtt = RttOf(edge); rtt && rtt->high > 0 && rtt->high < kMostFigure) {
    of.rtt_ms.Add(rtt->high, src, dst);
    of.noise_ms.Add(edge.rtt_distribution_ms->p90, src, dst);
  }
}

void SlowMarks::Conclude() {
  for (auto& [key, of] : classes_) {
    of.bandwidth_mbps.Conclude(/*high_is_better=*/true, 0);
    of.rtt_ms.Conclude(/*high_is_better=*/false, 0);
    of.noise_ms.Conclude(/*high_is_better=*/false, 1);
    const std::string share = fmt::format("{:.0f} %", 100 * rules_.slow_below);
    of.slow_words = fmt::format("bandwidth below {} of the {} of its class, {}", share, of.bandwidth_mbps.Name(),
                                RateWords(of.bandwidth_mbps.value));
    const double expected = std::get<double>(key), reached = std::min(expected, of.bandwidth_mbps.best);
    if (of.reaches_expected && reached > of.bandwidth_mbps.value) {
      of.bandwidth_mbps.value = reached;
      of.slow_words = fmt::format("bandwidth below {} of {}, which others of its class reach; its ports could carry {}",
                                  share, RateWords(reached), RateWords(expected));
    }
    of.late_words = fmt::format("round trip over {:g} times the {} of its class, {}", rules_.rtt_factor,
                                of.rtt_ms.Name(), TimeWords(of.rtt_ms.value));
    of.both_words = of.slow_words + "; " + of.late_words;
  }
}

SlowMark SlowMarks::Lookup::Of(const ReportEdge& edge, int64_t since_ms) {
  if (last_edge_ == nullptr || !OfOneClass(*last_edge_, edge)) {
    auto found = marks_.classes_.find(KeyOf(edge));
    last_class_ = found == marks_.classes_.end() ? nullptr : &found->second;
    last_edge_ = &edge;
  }
  return last_class_ == nullptr ? SlowMark{} : marks_.Judge(edge, *last_class_, since_ms);
}

SlowMark SlowMarks::Judge(const ReportEdge& edge, const Class& of, int64_t since_ms) const {
  SlowMark mark;
  const double usual = of.bandwidth_mbps.value, usual_ms = of.rtt_ms.value;
  if (const auto bandwidth = BandwidthOf(edge, since_ms)) {
    const bool lasts = edge.bw_mbps.value_or(0) <= *edge.bw_p50_mbps + kSettled * usual;
    const double judged = of.bandwidth_mbps.is_best ? std::max(bandwidth->high, bandwidth->best) : bandwidth->high;
    if (lasts && rules_.IsSlow(judged, usual)) mark.bandwidth_times = usual / std::max(*edge.bw_p50_mbps, kLeastMbps);
  }
  if (const auto rtt = RttOf(edge)) {
    const double judged_ms = of.rtt_ms.is_best ? std::min(rtt->low, rtt->quickest) : rtt->low;
    if (rules_.IsLate(judged_ms * kUsPerMs, usual_ms * kUsPerMs, of.noise_ms.value * kUsPerMs))
      mark.rtt_times = *edge.rtt_p50_ms / usual_ms;
  }
  if (mark.bandwidth_times > 0 || mark.rtt_times > 0)
    mark.words = mark.rtt_times == 0 ? &of.slow_words : mark.bandwidth_times == 0 ? &of.late_words : &of.both_words;
  return mark;
}

}  // namespace netsense
