#include "bench/compare/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace netsense {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 12> kIdentity = {"kind",          "source",          "target",    "transport",
                                                   "mode",          "device",          "direction", "payload_bytes",
                                                   "message_bytes", "iteration_bytes", "streams",   "load"};

Json IdentityOf(const Json& row, const std::vector<std::string>& ignored) {
  Json identity = Json::object();
  for (const char* field : kIdentity) {
    auto value = row.find(field);
    if (value == row.end() || value->is_null() || *value == "") continue;
    if (std::find(ignored.begin(), ignored.end(), field) != ignored.end()) continue;
    identity[field] = *value;
  }
  return identity;
}

// What one document says of one measurement.
struct Measured {
  Json identity;
  std::vector<const Json*> rows;
};

// By identity as text; `order` as they stand in the document.
struct Document {
  std::map<std::string, Measured> by_identity;
  std::vector<std::string> order;
  std::deque<Json> made;  // rows that the file does not hold

  void Add(const Json& identity, const Json* row) {
    const std::string key = identity.dump(-1, ' ', false, Json::error_handler_t::replace);
    auto [place, is_new] = by_identity.try_emplace(key);
    if (is_new) {
      place->second.identity = identity;
      order.push_back(key);
    }
    place->second.rows.push_back(row);
  }
};

bool Failed(const Json& row) { return row.contains("error") && !row["error"].is_null(); }

bool AllFailed(const Measured& measured) {
  return std::all_of(measured.rows.begin(), measured.rows.end(), [](const Json* row) { return Failed(*row); });
}

// Whether all that is known of `some` is so in `full`.
bool Agrees(const Json& some, const Json& full) {
  return std::all_of(some.items().begin(), some.items().end(), [&](const auto& field) {
    auto value = full.find(field.key());
    return value != full.end() && *value == field.value();
  });
}

// A failure may not know its mode, device or size: those are agreed upon when a session begins. It is then one of every
// measurement with which all that it knows agrees.
void PlaceFailures(Document* document, const Document& other) {
  auto ends = [](const Json& identity) { return std::pair(TextOf(identity, "source"), TextOf(identity, "target")); };
  std::map<std::pair<std::string, std::string>, std::vector<Json>> good;  // identities, by the nodes between which
  for (const Document* each : {static_cast<const Document*>(document), &other})
    for (const auto& [key, measured] : each->by_identity) {
      std::vector<Json>& between = good[ends(measured.identity)];
      if (!AllFailed(measured) && std::find(between.begin(), between.end(), measured.identity) == between.end())
        between.push_back(measured.identity);
    }
  std::vector<std::pair<Json, const Json*>> placed;
  std::erase_if(document->order, [&](const std::string& key) {
    auto failed = document->by_identity.find(key);
    const Json identity = failed->second.identity;
    if (!AllFailed(failed->second)) return false;
    const size_t before = placed.size();
    for (const Json& full : good.at(ends(identity)))
      if (full.size() > identity.size() && Agrees(identity, full))
        for (const Json* row : failed->second.rows) placed.emplace_back(full, row);
    if (placed.size() == before) return false;
    document->by_identity.erase(failed);
    return true;
  });
  for (const auto& [identity, row] : placed) document->Add(identity, row);
}

// A dead node has no rows in the document of `matrix`: what the other document measured with it failed here.
void AddDeadNodes(Document* document, const Document& other, const ResultFile& file) {
  std::map<std::string, std::string> dead;  // why, by name
  auto nodes = file.document.find("nodes");
  if (nodes == file.document.end() || !nodes->is_array()) return;
  for (const Json& node : *nodes)
    if (node.is_object() && node.contains("alive") && node["alive"] == false)
      dead[TextOf(node, "name")] = TextOf(node, "reason");
  for (const std::string& key : other.order) {
    const Json& identity = other.by_identity.at(key).identity;
    for (const char* end : {"source", "target"}) {
      auto found = dead.find(TextOf(identity, end));
      if (found == dead.end() || found->first.empty() || document->by_identity.contains(key)) continue;
      const Json error = {{"code", "UNAVAILABLE"},
                          {"message", absl::StrCat(found->first, " is dead: ", found->second)}};
      document->Add(identity, &document->made.emplace_back(Json{{"error", error}}));
    }
  }
}

Document Group(const ResultFile& file, const std::vector<std::string>& ignored) {
  Document document;
  for (const Json& row : file.document.at("results")) {
    if (const std::string kind = TextOf(row, "kind"); kind != "ping" && kind != "bw") continue;
    document.Add(IdentityOf(row, ignored), &row);
  }
  return document;
}

bool HasEverywhere(const Measured* measured, const char* object, const char* figure) {
  if (measured == nullptr) return true;
  return std::all_of(measured->rows.begin(), measured->rows.end(), [&](const Json* row) {
    return Failed(*row) || NumberOf(ObjectOf(*row, object), figure).has_value();
  });
}

// The clocks by which the network's share was taken: user space sees a longer way than the kernel does.
std::set<std::string> ClocksOf(const Measured* a, const Measured* b) {
  std::set<std::string> clocks;
  for (const Measured* measured : {a, b}) {
    if (measured == nullptr) continue;
    for (const Json* row : measured->rows)
      if (!Failed(*row)) clocks.insert(TextOf(*row, "timestamp_source"));
  }
  return clocks;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string HowMeasured(const Json& row) {
  const Json& wait = ObjectOf(row, "wait_mode");
  std::vector<std::string> parts = {TextOf(row, "timestamp_source"), TextOf(wait, "prober"), TextOf(wait, "responder")};
  return absl::StrJoin(parts, "/");
}

Side SideOf(const Measured* measured, const char* object, const char* figure) {
  Side side;
  if (measured == nullptr) return side;
  std::vector<double> p99, to_p90;
  for (const Json* row : measured->rows) {
    const Json& figures = ObjectOf(*row, object);
    const std::optional<double> value = Failed(*row) ? std::nullopt : NumberOf(figures, figure);
    // A median of 0 is as little a measurement as none: nothing can be said against it.
    if (!value || !(*value > 0)) {
      if (side.failed++ == 0) {
        side.error = TextOf(ObjectOf(*row, "error"), "message");
        if (side.error.empty()) side.error = "no figure";
      }
      continue;
    }
    side.values.push_back(*value);
    if (auto high = NumberOf(figures, "p99")) p99.push_back(*high);
    if (auto high = NumberOf(figures, "p90")) to_p90.push_back(*high - *value);
    side.samples += NumberOf(*row, "samples").value_or(0);
    side.lost += NumberOf(*row, "lost").value_or(0);
    if (side.how.empty()) side.how = HowMeasured(*row);
  }
  std::sort(side.values.begin(), side.values.end());
  if (!p99.empty()) side.p99 = MedianOf(p99);
  if (!to_p90.empty()) side.to_p90 = MedianOf(to_p90);
  return side;
}

}  // namespace

double Side::median() const { return MedianOf(values); }

const char* Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "slower";
    case Verdict::kFailedInA:
      return "failed in A";
    case Verdict::kFailedInB:
      return "failed in B";
    case Verdict::kFailedInBoth:
      return "failed in both";
    case Verdict::kMissingInA:
      return "missing in A";
    case Verdict::kMissingInB:
      return "missing in B";
  }
  return "";
}

size_t Comparison::Count(Verdict verdict) const {
  return static_cast<size_t>(
      std::count_if(rows.begin(), rows.end(), [&](const Difference& row) { return row.verdict == verdict; }));
}

absl::StatusOr<Comparison> Compare(const ResultFile& a, const ResultFile& b, const NoiseRule& rule,
                                   const std::vector<std::string>& ignored) {
  for (const std::string& field : ignored)
    if (field == "kind" || std::find(kIdentity.begin(), kIdentity.end(), field) == kIdentity.end())
      return absl::InvalidArgumentError(absl::StrCat("--ignore ", field, ": not one of ",
                                                     absl::StrJoin(kIdentity.begin() + 1, kIdentity.end(), ", ")));
  Document in_a = Group(a, ignored), in_b = Group(b, ignored);
  PlaceFailures(&in_a, in_b);
  PlaceFailures(&in_b, in_a);
  AddDeadNodes(&in_a, in_b, a);
  AddDeadNodes(&in_b, in_a, b);
  for (const auto& [file, document] : {std::pair(&a, &in_a), std::pair(&b, &in_b)})
    if (document->order.empty())
      return absl::InvalidArgumentError(absl::StrCat(file->path, " holds no measurement of ping or bw"));

  std::vector<std::string> order = in_a.order;
  for (const std::string& key : in_b.order)
    if (!in_a.by_identity.contains(key)) order.push_back(key);
  if (order.size() == in_a.order.size() + in_b.order.size())
    return absl::InvalidArgumentError(absl::StrCat(
        a.path, " and ", b.path, " have no measurement in common; the first of each is\n  ", in_a.order.front(), "\n  ",
        in_b.order.front(), "\nWith --ignore source,target the fields that differ do not count."));

  Comparison comparison;
  auto find = [](const Document& document, const std::string& key) {
    auto found = document.by_identity.find(key);
    return found == document.by_identity.end() ? nullptr : &found->second;
  };
  for (const std::string& key : order) {
    const Measured *of_a = find(in_a, key), *of_b = find(in_b, key);
    Difference row;
    row.identity = (of_a == nullptr ? of_b : of_a)->identity;
    const char *object = "bw_gbps", *figure = "avg";
    if (TextOf(row.identity, "kind") == "ping") {
      // Like with like: the network's share only where both documents have it, by the same clock.
      figure = "p50";
      auto all_have = [&](const char* name) {
        return HasEverywhere(of_a, name, figure) && HasEverywhere(of_b, name, figure);
      };
      const std::set<std::string> clocks = ClocksOf(of_a, of_b);
      object = all_have("network_rtt_us") ? "network_rtt_us" : "rtt_us";
      if (clocks.size() > 1 && all_have("rtt_us")) {
        object = "rtt_us";
        row.note = absl::StrCat("full round trips, for the network's share was taken by different clocks (",
                                absl::StrJoin(clocks, ", "), ")");
      }
    }
    row.metric = absl::StrCat(object, ".", figure);
    row.unit = *object == 'b' ? "gbps" : "us";
    row.a = SideOf(of_a, object, figure);
    row.b = SideOf(of_b, object, figure);
    comparison.rows.push_back(std::move(row));
  }
  Judge(rule, &comparison.rows);
  return comparison;
}

}  // namespace netsense
