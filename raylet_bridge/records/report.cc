#include "raylet_bridge/records/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/status_macros.h"
#include "proto/enum_names.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = 32 << 20;
constexpr size_t kMaxEdges = 10'000;
constexpr size_t kMaxCounters = 64, kMaxCounterName = 64;
constexpr uint64_t kMaxCount = uint64_t{1} << 53;

double NsToMs(double ns) { return std::round(ns) / 1e6; }             // whole nanoseconds
double BpsToMbps(double bps) { return std::round(bps / 1e3) / 1e3; }  // decimal megabits, three digits
int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

enum class Role {
  kFact,
  kFigure,           // of an edge that is OK
  kBandwidthFigure,  // that, and its bandwidth has to count
  kAge,
};

// The one list of an edge's fields: what is written, read and in which order, what expires and what grows with time.
template <typename Edge, typename Visit>
void EachField(Edge& edge, Visit&& visit) {
  visit("dst_node_id", edge.dst_node_id, Role::kFact);
  visit("rtt_ms", edge.rtt_ms, Role::kFigure);
  visit("rtt_p50_ms", edge.rtt_p50_ms, Role::kFigure);
  visit("jitter_ms", edge.jitter_ms, Role::kFigure);
  visit("bw_mbps", edge.bw_mbps, Role::kBandwidthFigure);
  visit("bw_p50_mbps", edge.bw_p50_mbps, Role::kBandwidthFigure);
  visit("bw_best_mbps", edge.bw_best_mbps, Role::kBandwidthFigure);
  visit("state", edge.state, Role::kFact);
  visit("reason", edge.reason, Role::kFact);
  visit("transport", edge.transport, Role::kFact);
  visit("fabric", edge.fabric, Role::kFact);
  visit("src_port", edge.src_port, Role::kFact);
  visit("dst_port", edge.dst_port, Role::kFact);
  visit("rail", edge.rail, Role::kFact);
  visit("cross_rail", edge.cross_rail, Role::kFact);
  visit("rtt_age_ms", edge.rtt_age_ms, Role::kAge);
  visit("rtt_samples", edge.rtt_samples, Role::kFact);
  visit("rtt_window", edge.rtt_window, Role::kFact);
  visit("bw_age_ms", edge.bw_age_ms, Role::kAge);
  visit("bw_samples", edge.bw_samples, Role::kFact);
  visit("bw_window", edge.bw_window, Role::kFact);
  visit("bw_state", edge.bw_state, Role::kFact);
  visit("bw_reason", edge.bw_reason, Role::kFact);
  visit("bw_life_ms", edge.bw_life_ms, Role::kFact);
  visit("state_age_ms", edge.state_age_ms, Role::kAge);
  visit("last_ok_age_ms", edge.last_ok_age_ms, Role::kAge);
  visit("network_rtt_ms", edge.network_rtt_ms, Role::kFigure);
  visit("network_rtt_p50_ms", edge.network_rtt_p50_ms, Role::kFigure);
  visit("network_rtt_jitter_ms", edge.network_rtt_jitter_ms, Role::kFigure);
  visit("rtt_distribution_ms", edge.rtt_distribution_ms, Role::kFigure);
  visit("network_rtt_distribution_ms", edge.network_rtt_distribution_ms, Role::kFigure);
  visit("responder_hold_distribution_ms", edge.responder_hold_distribution_ms, Role::kFigure);
  visit("timestamp_source", edge.timestamp_source, Role::kFact);
  visit("pings_sent", edge.pings_sent, Role::kFact);
  visit("pings_lost", edge.pings_lost, Role::kFact);
  visit("retransmits", edge.retransmits, Role::kFact);
  visit("bw_probes", edge.bw_probes, Role::kFact);
  visit("bw_failed", edge.bw_failed, Role::kFact);
  visit("bw_busy", edge.bw_busy, Role::kFact);
  visit("bw_deferred", edge.bw_deferred, Role::kFact);
  visit("bw_expected_mbps", edge.bw_expected_mbps, Role::kFact);
  visit("bw_percent", edge.bw_percent, Role::kBandwidthFigure);
  visit("bw_limit", edge.bw_limit, Role::kFact);
  visit("counters", edge.counters, Role::kFact);
  visit("binding", edge.binding, Role::kFact);
  visit("peer_binding", edge.peer_binding, Role::kFact);
}

template <typename Distribution, typename Visit>
void EachDistributionField(Distribution& d, Visit&& visit) {
  visit("count", d.count);
  visit("min", d.min);
  visit("p50", d.p50);
  visit("p90", d.p90);
  visit("p99", d.p99);
  visit("p99_9", d.p99_9);
  visit("max", d.max);
  visit("mean", d.mean);
  visit("stdev", d.stdev);
  visit("span_ms", d.span_ms);
}

Json ToJson(v1::PathState state) { return PathStateName(state); }
Json ToJson(v1::BandwidthState state) { return BandwidthStateName(state); }
Json ToJson(const DistributionMs& distribution) {
  Json fields = Json::object();
  EachDistributionField(distribution, [&](const char* name, auto value) { fields[name] = value; });
  return fields;
}
template <typename T>
Json ToJson(const T& value) {
  return value;
}
template <typename T>
Json ToJson(const std::optional<T>& value) {
  return value ? ToJson(*value) : Json(nullptr);
}

struct Reader {
  const Json& object;

  template <typename T>
  void operator()(const char* key, T& value, Role) {
    (*this)(key, value);
  }
  void operator()(const char* key, v1::PathState& state) {
    state = ParsePathState(StringAt(object, key).value_or("")).value_or(v1::PATH_STATE_UNKNOWN);
  }
  void operator()(const char* key, v1::BandwidthState& state) {
    state = ParseBandwidthState(StringAt(object, key).value_or(""));
  }
  void operator()(const char* key, std::string& text) { text = StringAt(object, key).value_or(""); }
  void operator()(const char* key, std::map<std::string, int64_t>& numbers) {
    auto values = object.find(key);
    if (values == object.end() || !values->is_object()) return;
    for (const auto& [name, value] : values->items()) {
      if (numbers.size() == kMaxCounters) return;
      if (value.is_number_unsigned() && value <= kMaxCount && name.size() <= kMaxCounterName)
        numbers[name] = value.template get<int64_t>();
    }
  }
  void operator()(const char* key, bool& flag) {
    auto value = object.find(key);
    flag = value != object.end() && value->is_boolean() && value->template get<bool>();
  }
  void operator()(const char* key, std::optional<double>& number) { number = NumberAt(object, key); }
  void operator()(const char* key, std::optional<int64_t>& number) { number = IntegerAt(object, key); }
  void operator()(const char* key, double& number) { number = NumberAt(object, key).value_or(0); }
  void operator()(const char* key, int64_t& number) { number = IntegerAt(object, key).value_or(0); }
  void operator()(const char* key, std::optional<DistributionMs>& distribution) {
    auto fields = object.find(key);
    if (fields == object.end() || !fields->is_object()) return;
    EachDistributionField(distribution.emplace(), Reader{*fields});
    if (distribution->count == 0) distribution.reset();
  }
};

std::optional<DistributionMs> ToMs(const v1::Distribution& d) {
  if (d.count() == 0) return std::nullopt;
  auto ms = [](auto ns) { return NsToMs(static_cast<double>(ns)); };
  return DistributionMs{Signed(d.count()), ms(d.min_ns()), ms(d.p50_ns()),  ms(d.p90_ns()),   ms(d.p99_ns()),
                        ms(d.p999_ns()),   ms(d.max_ns()), ms(d.mean_ns()), ms(d.stdev_ns()), Signed(d.span_ms())};
}

// Of an age that was true `passed_ms` ago. No age is beyond all reason, whatever an engine says.
int64_t AgeMs(int64_t told, int64_t passed_ms) {
  return std::clamp<int64_t>(told, 0, static_cast<int64_t>(kMaxCount)) + passed_ms;
}

void FillFigures(const v1::PathResult& result, int64_t passed_ms, ReportEdge& edge) {
  if (result.rtt().samples() > 0) {
    edge.rtt_ms = NsToMs(result.rtt().ewma());
    edge.rtt_p50_ms = NsToMs(result.rtt().p50());
    edge.jitter_ms = NsToMs(result.rtt().jitter());
    edge.rtt_age_ms = AgeMs(result.rtt().age_ms(), passed_ms);
  }
  if (result.network_rtt().samples() > 0) {
    edge.network_rtt_ms = NsToMs(result.network_rtt().ewma());
    edge.network_rtt_p50_ms = NsToMs(result.network_rtt().p50());
    edge.network_rtt_jitter_ms = NsToMs(result.network_rtt().jitter());
  }
  if (result.bandwidth().samples() > 0) {
    edge.bw_mbps = BpsToMbps(result.bandwidth().ewma());
    edge.bw_p50_mbps = BpsToMbps(result.bandwidth().p50());
    if (result.bandwidth().best() > 0) edge.bw_best_mbps = BpsToMbps(result.bandwidth().best());
    edge.bw_age_ms = AgeMs(result.bandwidth().age_ms(), passed_ms);
  }
  edge.rtt_distribution_ms = ToMs(result.rtt_distribution());
  edge.network_rtt_distribution_ms = ToMs(result.network_rtt_distribution());
  edge.responder_hold_distribution_ms = ToMs(result.responder_hold_distribution());
}

// "processors 0-23, memory of NUMA node 0: NUMA node 0 of mlx5_0"
std::string DescribeBinding(const v1::Binding& binding) {
  if (binding.cpus().empty()) return binding.reason();
  std::string memory = binding.has_memory_node() ? fmt::format(", memory of NUMA node {}", binding.memory_node()) : "";
  return fmt::format("processors {}{}: {}", binding.cpus(), memory, binding.reason());
}

// `passed_ms`: since its ages were true.
void FillFromResult(const v1::PathResult& result, int64_t passed_ms, const Settings& settings, ReportEdge& edge) {
  // An engine of a later release may have others.
  edge.state = v1::PathState_IsValid(result.state()) ? result.state() : v1::PATH_STATE_UNKNOWN;
  edge.reason = result.reason();
  edge.state_age_ms = AgeMs(result.state_age_ms(), passed_ms);
  if (result.last_ok_age_ms() >= 0) edge.last_ok_age_ms = AgeMs(result.last_ok_age_ms(), passed_ms);
  FillFigures(result, passed_ms, edge);
  edge.rtt_samples = result.rtt().samples();
  edge.bw_samples = result.bandwidth().samples();
  edge.bw_state =
      v1::BandwidthState_IsValid(result.bandwidth_state()) ? result.bandwidth_state() : v1::BANDWIDTH_STATE_NOT_KNOWN;
  if (result.bandwidth_life_ms() > 0) {  // else there are no probes, which needs no words on each of a million edges
    edge.bw_life_ms = result.bandwidth_life_ms();
    edge.bw_reason = result.bandwidth_reason();
  }
  edge.timestamp_source = TimestampSourceName(result.timestamp_source());
  edge.pings_sent = Signed(result.pings_sent());
  edge.pings_lost = Signed(result.pings_lost());
  if (result.has_retransmits()) edge.retransmits = Signed(result.retransmits());
  edge.bw_probes = Signed(result.bandwidth_probes());
  edge.bw_failed = Signed(result.bandwidth_failed());
  edge.bw_busy = Signed(result.bandwidth_busy());
  edge.bw_deferred = Signed(result.bandwidth_deferred());
  if (result.expected_bandwidth().bps() > 0) {
    edge.bw_expected_mbps = BpsToMbps(result.expected_bandwidth().bps());
    edge.bw_limit = result.expected_bandwidth().limit();
    if (edge.bw_p50_mbps) edge.bw_percent = std::round(1000 * *edge.bw_p50_mbps / *edge.bw_expected_mbps) / 10;
  }
  for (const v1::CounterDelta& counter : result.counters()) edge.counters[counter.name()] = Signed(counter.delta());
  edge.binding = DescribeBinding(result.binding());
  edge.peer_binding = DescribeBinding(result.peer_binding());
  if (!result.source_port().empty()) edge.src_port = result.source_port();
  edge.fabric = FabricName(result.fabric());
  if (edge.state == v1::PATH_STATE_OK && edge.rtt_age_ms.value_or(0) > int64_t{settings.rtt_ttl_ms}) {
    edge.state = v1::PATH_STATE_STALE;
    edge.reason = fmt::format("the newest round trip is {} ms old", *edge.rtt_age_ms);
    edge.state_age_ms = *edge.rtt_age_ms - int64_t{settings.rtt_ttl_ms};
  }
}

void Clear(ReportEdge& edge, std::initializer_list<Role> roles) {
  EachField(edge, [roles](const char*, auto& value, Role role) {
    if (std::find(roles.begin(), roles.end(), role) != roles.end()) value = std::decay_t<decltype(value)>();
  });
}

// A bandwidth that is not MEASURED, or too old, is none.
void ExpireBandwidth(ReportEdge& edge) {
  if (BandwidthCounts(edge, 0)) return;
  if (edge.bw_state == v1::BANDWIDTH_STATE_MEASURED) {
    edge.bw_state = v1::BANDWIDTH_STATE_NOT_KNOWN;
    if (edge.bw_reason.empty() && edge.bw_age_ms)
      edge.bw_reason = fmt::format("the last figure is {} s old", *edge.bw_age_ms / 1000);
  }
  Clear(edge, {Role::kBandwidthFigure});
}

// What holds of every edge, whoever made it.
void Settle(ReportEdge& edge) {
  if (edge.state == v1::PATH_STATE_OK && !edge.rtt_p50_ms) {
    edge.state = v1::PATH_STATE_UNKNOWN;
    edge.reason = "said to be OK, but without a round trip";
  }
  if (edge.state == v1::PATH_STATE_ISOLATED && !edge.cross_rail) edge.state = v1::PATH_STATE_UNREACHABLE;
  if (edge.state == v1::PATH_STATE_UNKNOWN && edge.reason.empty()) edge.reason = "not measured yet";
  if (edge.state != v1::PATH_STATE_OK) ClearFigures(edge);
  ExpireBandwidth(edge);
}

}  // namespace

void ClearFigures(ReportEdge& edge) {
  if (edge.bw_state == v1::BANDWIDTH_STATE_MEASURED) edge.bw_state = v1::BANDWIDTH_STATE_NOT_KNOWN;
  Clear(edge, {Role::kFigure, Role::kBandwidthFigure});
}

void AddToAges(ReportEdge& edge, int64_t ms) {
  EachField(edge, [ms](const char*, auto& value, Role role) {
    if constexpr (std::is_same_v<decltype(value), std::optional<int64_t>&>)
      if (role == Role::kAge && value) *value += ms;
  });
  ExpireBandwidth(edge);
}

bool BandwidthCounts(const ReportEdge& edge, int64_t ms) {
  return edge.bw_state == v1::BANDWIDTH_STATE_MEASURED && edge.bw_age_ms &&
         *edge.bw_age_ms + ms <= edge.bw_life_ms.value_or(0);
}

Report MakeReport(const v1::Plan& plan, const PathReadings& readings, const std::string& engine_problem,
                  const std::map<std::string, DoorRecord>& doors, const Settings& settings, int64_t ts_ms,
                  MonotonicTime now) {
  Report report;
  report.node_id = plan.self_node_id();
  report.ts_ms = ts_ms;
  report.version = NETSENSE_VERSION;
  report.tick_ms = settings.tick_ms;
  report.ttl_ms = settings.rtt_ttl_ms;
  report.reason = engine_problem;
  if (report.reason.empty() && !settings.enabled)
    report.reason = "probing is disabled on this node: set network_sense_enabled to true";
  for (int i = 0; i < plan.paths_size(); ++i) {
    const v1::PlannedPath& path = plan.paths(i);
    const auto& reading = readings.at(static_cast<size_t>(i));
    ReportEdge& edge = report.edges.emplace_back();
    edge.dst_node_id = path.dst_node_id();
    edge.transport = path.transport();
    edge.fabric = FabricName(v1::FABRIC_KIND_UNKNOWN);
    edge.rtt_window = plan.rtt_window();
    edge.bw_window = plan.bandwidth_window();
    edge.src_port = path.source_port();
    edge.dst_port = path.destination_port();
    if (path.has_rail()) edge.rail = path.rail();
    edge.cross_rail = path.cross_rail();
    if (auto door = doors.find(path.dst_node_id()); edge.dst_port.empty() && door != doors.end())
      edge.dst_port = DoorPortName(door->second);
    if (!engine_problem.empty()) {
      edge.reason = engine_problem;
    } else if (reading != nullptr) {
      FillFromResult(reading->result, MillisSince(reading->at, now), settings, edge);
    }
    Settle(edge);
  }
  return report;
}

Json EdgeToJson(const ReportEdge& edge) {
  Json object = Json::object();
  EachField(edge, [&object](const char* key, const auto& value, Role) { object[key] = ToJson(value); });
  return object;
}

ReportEdge EdgeFromJson(const Json& object) {
  ReportEdge edge;
  EachField(edge, Reader{object});
  return edge;
}

std::string ReportToJson(const Report& report) {
  Json edges = Json::array();
  for (const ReportEdge& edge : report.edges) edges.push_back(EdgeToJson(edge));
  return DumpJson({{"schema_version", 1},
                   {"node_id", report.node_id},
                   {"ts_ms", report.ts_ms},
                   {"version", report.version},
                   {"tick_ms", report.tick_ms},
                   {"ttl_ms", report.ttl_ms},
                   {"reason", report.reason},
                   {"edges", std::move(edges)}});
}

absl::StatusOr<Report> ParseReport(const std::string& json, const std::string& node_id) {
  ASSIGN_OR_RETURN(auto document, ParseDocument(json, node_id, kMaxBytes));
  Report report;
  report.node_id = node_id;
  auto ts_ms = IntegerAt(document, "ts_ms");
  if (!ts_ms) return absl::InvalidArgumentError("it has no ts_ms");
  report.ts_ms = *ts_ms;
  report.version = StringAt(document, "version").value_or("");
  report.tick_ms = IntegerAt(document, "tick_ms").value_or(0);
  report.ttl_ms = IntegerAt(document, "ttl_ms").value_or(0);
  report.reason = StringAt(document, "reason").value_or("");
  auto edges = document.find("edges");
  if (edges == document.end() || !edges->is_array()) return absl::InvalidArgumentError("it has no list of edges");
  std::set<std::tuple<std::string, std::string, std::string, std::string, std::optional<int64_t>>> told;
  for (const Json& object : *edges) {
    if (!object.is_object() || !ParsePathState(StringAt(object, "state").value_or(""))) continue;
    ReportEdge edge;
    EachField(edge, Reader{object});
    if (!IsNodeId(edge.dst_node_id) || edge.dst_node_id == node_id) continue;
    if (report.edges.size() >= kMaxEdges ||
        !told.emplace(edge.dst_node_id, edge.transport, edge.src_port, edge.dst_port, edge.rail).second)
      continue;
    Settle(edge);
    report.edges.push_back(std::move(edge));
  }
  return report;
}

}  // namespace netsense
