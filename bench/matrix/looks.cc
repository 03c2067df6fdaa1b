#include "bench/matrix/looks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "bench/result_file.h"

namespace netsense::matrix {
namespace {

// What the rows of one pair say.
struct Readings {
  std::vector<double> there, back;  // by who sent: the pair's first node, or the second
  std::vector<double> p90, full, full_p90;
  std::string failure, clock;
  std::optional<double> expected;
};

std::optional<double> MedianOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Empty for none.
std::string FailureOf(const nlohmann::json& row, Metric metric) {
  if (row.contains("error")) {
    const std::string message = TextOf(ObjectOf(row, "error"), "message");
    return message.empty() ? "failed" : message;
  }
  if (metric == Metric::kBandwidth) return NumberOf(row, "bytes") == 0 ? "no byte arrived" : "";
  const double lost = NumberOf(row, "lost").value_or(0), sent = lost + NumberOf(row, "samples").value_or(0);
  return lost > kMostLost * sent ? fmt::format("{:g} of {:g} pings lost", lost, sent) : "";
}

void Read(const nlohmann::json& row, Metric metric, bool by_first, Readings* readings) {
  if (std::string failure = FailureOf(row, metric); !failure.empty()) {
    readings->failure = std::move(failure);
    return;
  }
  const bool rtt = metric == Metric::kRtt;
  const nlohmann::json& figures = ObjectOf(row, rtt ? "network_rtt_us" : "bw_gbps");
  const double value = NumberOf(figures, rtt ? "p50" : "avg").value_or(0);
  if (value <= 0) return;  // too little arrived for a figure
  (by_first || rtt ? readings->there : readings->back).push_back(value);
  if (rtt) {
    if (auto p90 = NumberOf(figures, "p90")) readings->p90.push_back(*p90);
    const nlohmann::json& whole = ObjectOf(row, "rtt_us");
    if (auto p50 = NumberOf(whole, "p50")) readings->full.push_back(*p50);
    if (auto p90 = NumberOf(whole, "p90")) readings->full_p90.push_back(*p90);
    readings->clock = TextOf(row, "timestamp_source");
  } else if (auto expected = NumberOf(ObjectOf(row, "expected"), "gbps")) {
    readings->expected = expected;
  }
}

}  // namespace

std::optional<std::string> FailureOfItsOwn(const nlohmann::json& row) {
  if (!row.contains("error")) return {};
  const nlohmann::json& error = ObjectOf(row, "error");
  const std::string code = TextOf(error, "code");
  if (code == "UNAVAILABLE" || code == "DEADLINE_EXCEEDED" || code == "DATA_LOSS" || code == "NOT_FOUND") return {};
  return absl::StrCat(code, ": ", TextOf(error, "message"));
}

std::vector<FirstLook> LooksOf(const std::vector<nlohmann::json>& rows, const std::vector<Node>& nodes,
                               const std::string& transport, Metric metric) {
  std::map<std::string, int> index;
  for (size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].alive) index[nodes[i].name] = static_cast<int>(i);
  std::map<Pair, Readings> by_pair;
  for (const nlohmann::json& row : rows) {
    if (TextOf(row, "kind") != (metric == Metric::kRtt ? "ping" : "bw") || TextOf(row, "transport") != transport)
      continue;
    auto source = index.find(TextOf(row, "source")), target = index.find(TextOf(row, "target"));
    if (source == index.end() || target == index.end() || FailureOfItsOwn(row)) continue;
    Read(row, metric, source->second < target->second, &by_pair[MakePair(source->second, target->second)]);
  }
  std::vector<FirstLook> looks;
  for (const auto& [pair, readings] : by_pair) {
    const Node &a = nodes[static_cast<size_t>(pair.a)], &b = nodes[static_cast<size_t>(pair.b)];
    FirstLook look{.pair = pair,
                   .link_class = LinkClass(transport, a, b),
                   .expected_gbps = readings.expected,
                   .look = {{}, readings.failure},
                   .clock = readings.clock,
                   .fabric = FabricClass(transport, a, b)};
    const auto there = MedianOf(readings.there), back = MedianOf(readings.back);
    if (readings.failure.empty()) look.look.value = there && back ? std::min(there, back) : there ? there : back;
    if (there && back) look.other_way_gbps = std::max(there, back);
    look.p90_us = MedianOf(readings.p90);
    look.full_us = MedianOf(readings.full);
    look.full_p90_us = MedianOf(readings.full_p90);
    looks.push_back(std::move(look));
  }
  return looks;
}

}  // namespace netsense::matrix
