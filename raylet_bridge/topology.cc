#include "raylet_bridge/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "raylet_bridge/json_fields.h"
#include "raylet_bridge/rail_check.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kClockToleranceMs = 60'000;

bool Reaches(v1::PathState state) { return state == v1::PATH_STATE_OK || state == v1::PATH_STATE_DEGRADED; }

// The value that a map of parsed documents holds for a node; null when there is none, or it could not be parsed.
template <typename T>
const T* Find(const std::map<std::string, absl::StatusOr<T>>& documents, const std::string& node_id) {
  auto found = documents.find(node_id);
  return found == documents.end() || !found->second.ok() ? nullptr : &*found->second;
}

// Why there is none.
template <typename T>
std::string WhyNone(const std::map<std::string, absl::StatusOr<T>>& documents, const std::string& node_id,
                    const char* what) {
  auto found = documents.find(node_id);
  if (found == documents.end()) return fmt::format("no {} from this node: does netsense-bridge run there?", what);
  return fmt::format("the {} of this node can't be used: {}", what, std::string(found->second.status().message()));
}

int64_t ReportAge(const ClusterView& view, const Report& report, int64_t now_epoch_ms, MonotonicTime now) {
  int64_t wall_age = std::max<int64_t>(now_epoch_ms - report.ts_ms, 0);
  auto sighting = view.sightings.find(report.node_id);
  if (sighting == view.sightings.end()) return wall_age;
  int64_t seen_for = std::max<int64_t>(MillisSince(sighting->second.newest_since, now), 0);
  return sighting->second.seen_to_change ? seen_for : std::max(wall_age, seen_for);
}

TopologyNode MakeNode(const ClusterView& view, const ClusterNode& node, const Settings& settings, int64_t now_epoch_ms,
                      MonotonicTime now) {
  TopologyNode made;
  made.node = node;
  if (const DoorRecord* door = Find(view.doors, node.node_id)) made.door = *door;
  const Report* report = Find(view.reports, node.node_id);
  if (report == nullptr) {
    made.reason = WhyNone(view.reports, node.node_id, "report");
    return made;
  }
  made.report_ts_ms = report->ts_ms;
  made.report_age_ms = ReportAge(view, *report, now_epoch_ms, now);
  const int64_t ahead_ms = report->ts_ms - now_epoch_ms;
  // The reporter knows how often it reports; a reader may have been given no settings at all.
  const int64_t ttl_ms = report->ttl_ms > 0 ? report->ttl_ms : int64_t{settings.rtt_ttl_ms};
  if (*made.report_age_ms > ttl_ms) {
    made.state = v1::PATH_STATE_STALE;
    made.reason =
        fmt::format("its report is {} ms old, older than network_sense_rtt_ttl_ms ({})", *made.report_age_ms, ttl_ms);
  } else {
    made.state = v1::PATH_STATE_OK;
    made.reason = report->reason;
  }
  if (ahead_ms > kClockToleranceMs)
    made.reason += fmt::format("{}its clock is {} s ahead of ours", made.reason.empty() ? "" : "; ", ahead_ms / 1000);
  return made;
}

// The edge of a pair that nobody reported.
TopologyEdge UnreportedEdge(const ClusterView& view, const TopologyNode& src, const TopologyNode& dst) {
  TopologyEdge made;
  made.src_node_id = src.node.node_id;
  made.report_ts_ms = src.report_ts_ms;
  made.age_ms = src.report_age_ms;
  made.edge.dst_node_id = dst.node.node_id;
  if (!src.report_ts_ms) {
    made.edge.reason = "source: " + src.reason;
  } else if (const Report* report = Find(view.reports, src.node.node_id);
             report != nullptr && !report->reason.empty()) {
    made.edge.reason = "source: " + report->reason;
  } else if (!dst.door) {
    made.edge.reason = "destination: " + WhyNone(view.doors, dst.node.node_id, "door record");
  } else {
    made.edge.reason = "the source has not reported this pair yet";
  }
  return made;
}

TopologyEdge ReportedEdge(const TopologyNode& src, const ReportEdge& edge) {
  TopologyEdge made{src.node.node_id, src.report_ts_ms, src.report_age_ms, edge};
  AddToAges(made.edge, *src.report_age_ms);
  if (src.state == v1::PATH_STATE_STALE) {
    made.edge.state = v1::PATH_STATE_STALE;
    made.edge.reason = "source: " + src.reason;
    ClearFigures(made.edge);
  }
  return made;
}

// A node is reachable when at least half of those that can tell reach it: one cut off node must not make all others
// look bad, and who cannot tell has no vote.
void FindReachable(Topology& topology) {
  struct Votes {
    size_t reached = 0, all = 0;
  };
  std::map<std::string, std::map<std::string, bool>> reaches;  // destination -> source -> by any path
  for (const TopologyEdge& edge : topology.edges) {
    v1::PathState state = edge.edge.state;
    if (state == v1::PATH_STATE_UNKNOWN || state == v1::PATH_STATE_STALE || state == v1::PATH_STATE_ISOLATED) continue;
    bool& by_any = reaches[edge.edge.dst_node_id][edge.src_node_id];
    by_any = by_any || Reaches(state);
  }
  for (TopologyNode& node : topology.nodes) {
    Votes votes;
    for (const auto& [source, reached] : reaches[node.node.node_id]) {
      ++votes.all;
      if (reached) ++votes.reached;
    }
    bool alone = topology.nodes.size() == 1 && node.state == v1::PATH_STATE_OK;
    node.reachable = alone || (votes.all > 0 && 2 * votes.reached >= votes.all);
  }
}

Json NodeToJson(const TopologyNode& node) {
  auto or_null = [](const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"node_id", node.node.node_id},        {"last_report_ts_ms", or_null(node.report_ts_ms)},
          {"num_out_edges", node.num_out_edges}, {"address", node.node.address},
          {"hostname", node.node.hostname},      {"alive", node.node.alive},
          {"is_head", node.node.is_head},        {"report_age_ms", or_null(node.report_age_ms)},
          {"state", PathStateName(node.state)},  {"reason", node.reason},
          {"reachable", node.reachable},         {"door", node.door ? DoorToJson(*node.door) : Json(nullptr)}};
}

Json TopologyEdgeToJson(const TopologyEdge& edge) {
  auto or_null = [](const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  Json object = {{"src_node_id", edge.src_node_id},
                 {"dst_node_id", edge.edge.dst_node_id},
                 {"report_ts_ms", or_null(edge.report_ts_ms)},
                 {"age_ms", or_null(edge.age_ms)}};
  object.update(EdgeToJson(edge.edge));
  return object;
}

}  // namespace

int64_t Topology::num_reports() const {
  return std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return node.report_ts_ms.has_value(); });
}

int64_t Topology::num_ok_edges() const {
  return std::count_if(edges.begin(), edges.end(),
                       [](const auto& edge) { return edge.edge.state == v1::PATH_STATE_OK; });
}

int64_t Topology::num_isolated_edges() const {
  return std::count_if(edges.begin(), edges.end(),
                       [](const auto& edge) { return edge.edge.state == v1::PATH_STATE_ISOLATED; });
}

int64_t Topology::num_reachable_nodes() const {
  return std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return node.reachable; });
}

Topology BuildTopology(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now) {
  Topology topology;
  topology.generated_at_ms = now_epoch_ms;
  for (const ClusterNode& node : view.nodes)
    topology.nodes.push_back(MakeNode(view, node, settings, now_epoch_ms, now));
  for (TopologyNode& src : topology.nodes) {
    std::multimap<std::string, const ReportEdge*> told;  // by destination
    if (const Report* report = Find(view.reports, src.node.node_id))
      for (const ReportEdge& edge : report->edges) told.emplace(edge.dst_node_id, &edge);
    for (const TopologyNode& dst : topology.nodes) {
      if (&dst == &src) continue;
      auto [first, last] = told.equal_range(dst.node.node_id);
      if (first == last) topology.edges.push_back(UnreportedEdge(view, src, dst));
      for (auto entry = first; entry != last; ++entry) {
        topology.edges.push_back(ReportedEdge(src, *entry->second));
        ++src.num_out_edges;
      }
    }
  }
  FindReachable(topology);
  std::vector<NodeRails> rails;
  for (const TopologyNode& node : topology.nodes)
    if (node.door) rails.push_back({node.node.hostname.empty() ? node.node.address : node.node.hostname, &*node.door});
  topology.warnings = RailWarnings(rails);
  return topology;
}

Json TopologyToJson(const Topology& topology) {
  Json nodes = Json::array(), edges = Json::array();
  for (const TopologyNode& node : topology.nodes) nodes.push_back(NodeToJson(node));
  for (const TopologyEdge& edge : topology.edges) edges.push_back(TopologyEdgeToJson(edge));
  return {{"schema_version", 1},
          {"generated_at_ms", topology.generated_at_ms},
          {"directed", true},
          {"num_reports", topology.num_reports()},
          {"num_nodes", topology.nodes.size()},
          {"num_edges", topology.edges.size()},
          {"num_ok_edges", topology.num_ok_edges()},
          {"num_isolated_edges", topology.num_isolated_edges()},
          {"num_reachable_nodes", topology.num_reachable_nodes()},
          {"warnings", topology.warnings},
          {"nodes", std::move(nodes)},
          {"edges", std::move(edges)}};
}

std::string EnvelopeJson(const Topology& topology, const std::string& message) {
  return DumpJson({{"result", true}, {"msg", message}, {"data", {{"result", TopologyToJson(topology)}}}});
}

}  // namespace netsense
