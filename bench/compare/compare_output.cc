// The comparison for people and for scripts.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/compare/compare.h"
#include "fmt/format.h"

namespace netsense {
namespace {

using Json = nlohmann::json;

constexpr size_t kRowsForPeople = 40;
constexpr size_t kColumns = 6;

// Names come from files that may hold anything: nothing of them may steer a terminal.
std::string Plain(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

// "ping tcp stream eth0 64 B idle"
std::string What(const Json& identity) {
  std::vector<std::string> parts = {TextOf(identity, "kind")};
  for (const char* field : {"transport", "mode", "device", "direction"})
    if (std::string text = TextOf(identity, field); !text.empty()) parts.push_back(std::move(text));
  for (const char* field : {"payload_bytes", "message_bytes"})
    if (auto bytes = NumberOf(identity, field)) parts.push_back(fmt::format("{:.0f} B", *bytes));
  if (auto streams = NumberOf(identity, "streams"); streams && *streams != 1)
    parts.push_back(fmt::format("{:.0f} streams", *streams));
  if (std::string load = TextOf(identity, "load"); !load.empty()) parts.push_back(std::move(load));
  return Plain(absl::StrJoin(parts, " "));
}

std::string Where(const Json& identity) {
  return Plain(absl::StrCat(TextOf(identity, "source"), " > ", TextOf(identity, "target")));
}

std::string Figure(const Side& side, const std::string& unit) {
  if (side.values.empty()) return side.repeats() == 0 ? "-" : "failed";
  const Interval interval = MedianInterval(side.values);
  std::string text = fmt::format("{:.2f}", side.median());
  if (side.values.size() > 1) absl::StrAppend(&text, fmt::format(" [{:.2f}, {:.2f}]", interval.low, interval.high));
  return absl::StrCat(text, unit == "us" ? " us" : " Gb/s");
}

std::string Percent(std::optional<double> percent) {
  return percent ? fmt::format("{:+.1f} %", *percent) : std::string("-");
}

std::optional<double> P99Change(const Difference& row) {
  if (!row.a.p99 || !row.b.p99 || !(*row.a.p99 > 0)) return std::nullopt;
  return 100 * (*row.b.p99 / *row.a.p99 - 1);
}

Json Known(std::optional<double> value) { return value ? Json(*value) : Json(); }

Json SideJson(const Side& side) {
  Json json = {{"repeats", side.values.size()}, {"failed", side.failed},  {"median", nullptr}, {"interval", nullptr},
               {"values", side.values},         {"p99", Known(side.p99)}, {"error", nullptr}};
  if (!side.values.empty()) {
    const Interval interval = MedianInterval(side.values);
    json["median"] = side.median();
    json["interval"] = {interval.low, interval.high};
  }
  if (!side.error.empty()) json["error"] = side.error;
  return json;
}

constexpr Verdict kVerdicts[] = {Verdict::kSlower,     Verdict::kFailedInB, Verdict::kFaster,
                                 Verdict::kSame,       Verdict::kFailedInA, Verdict::kFailedInBoth,
                                 Verdict::kMissingInA, Verdict::kMissingInB};

}  // namespace

std::string ComparisonTable(const Comparison& comparison, const NoiseRule& rule, bool all) {
  const bool without_same = !all && comparison.rows.size() > kRowsForPeople;
  std::vector<std::vector<std::string>> lines = {{"verdict", "what", "from > to", "A", "B", "change", "p99", ""}};
  size_t left_out = 0;
  bool few = false;
  for (const Difference& row : comparison.rows) {
    if (row.change_percent && !row.noise_known) few = true;
    if (without_same && row.verdict == Verdict::kSame) {
      ++left_out;
      continue;
    }
    lines.push_back({Name(row.verdict), What(row.identity), Where(row.identity), Figure(row.a, row.unit),
                     Figure(row.b, row.unit), Percent(row.change_percent), Percent(P99Change(row)), Plain(row.note)});
  }
  std::vector<size_t> widths(kColumns + 2);
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) absl::StrAppend(&row, fmt::format("{:<{}}  ", line[i], widths[i]));
    absl::StrAppend(&text, row.substr(0, row.find_last_not_of(' ') + 1), "\n");
  }
  if (left_out > 0) absl::StrAppend(&text, "(", left_out, " rows that are the same are left out; --all shows them)\n");
  std::vector<std::string> counts;
  for (Verdict verdict : kVerdicts)
    if (size_t count = comparison.Count(verdict); count > 0) counts.push_back(absl::StrCat(count, " ", Name(verdict)));
  absl::StrAppend(&text, "\n", absl::StrJoin(counts, ", "), "\nRule: ", rule.Text(), "\n");
  if (few)
    absl::StrAppend(&text, "Some have fewer than 3 repeats: measure both with --repeat 5 to tell 10 % from noise.\n");
  return text;
}

Json ComparisonJson(const Comparison& comparison, const NoiseRule& rule, const ResultFile& a, const ResultFile& b) {
  Json summary = Json::object(), rows = Json::array();
  for (Verdict verdict : kVerdicts) summary[Name(verdict)] = comparison.Count(verdict);
  for (const Difference& row : comparison.rows)
    rows.push_back({{"identity", row.identity},
                    {"metric", row.metric},
                    {"unit", row.unit},
                    {"verdict", Name(row.verdict)},
                    {"change_percent", Known(row.change_percent)},
                    {"p99_change_percent", Known(P99Change(row))},
                    {"noise_known", row.noise_known},
                    {"p_value", Known(row.p_value)},
                    {"a", SideJson(row.a)},
                    {"b", SideJson(row.b)},
                    {"note", row.note.empty() ? Json() : Json(row.note)}});
  return {{"schema_version", 1},
          {"command", "compare"},
          {"a", a.path},
          {"b", b.path},
          {"rule",
           {{"text", rule.Text()},
            {"threshold_percent", rule.threshold_percent},
            {"min_repeats", NoiseRule::kMinRepeats},
            {"few_repeats_ping_percent", std::max(rule.threshold_percent, rule.few_ping_percent)},
            {"few_repeats_bw_percent", std::max(rule.threshold_percent, rule.few_bw_percent)},
            {"few_repeats_ping_us", NoiseRule::kFewFloorUs},
            {"false_discovery_rate", NoiseRule::kFalseDiscoveries}}},
          {"summary", std::move(summary)},
          {"rows", std::move(rows)}};
}

}  // namespace netsense
