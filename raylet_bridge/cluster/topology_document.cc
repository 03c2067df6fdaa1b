#include "raylet_bridge/cluster/topology_document.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "proto/enum_names.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {

using Json = nlohmann::ordered_json;

Json TopologyNodeToJson(const TopologyNode& node) {
  auto or_null = [](const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"node_id", node.node.node_id},        {"last_report_ts_ms", or_null(node.report_ts_ms)},
          {"num_out_edges", node.num_out_edges}, {"address", node.node.address},
          {"hostname", node.node.hostname},      {"alive", node.node.alive},
          {"is_head", node.node.is_head},        {"report_age_ms", or_null(node.report_age_ms)},
          {"state", PathStateName(node.state)},  {"reason", node.reason},
          {"reachable", node.reachable},         {"door", node.door ? DoorToJson(*node.door) : Json(nullptr)}};
}

Json LostNodesToJson(const std::vector<TopologyLost>& lost) {
  Json list = Json::array();
  for (const auto& [each, age_ms] : lost)
    list.push_back({{"node_id", each.node.node_id},
                    {"address", each.node.address},
                    {"hostname", each.node.hostname},
                    {"is_head", each.node.is_head},
                    {"lost_since_ms", each.since_ms},
                    {"lost_age_ms", age_ms},
                    {"reason", each.reason}});
  return list;
}

namespace {

Json SlowToJson(const std::optional<SlowEdge>& slow) {
  if (!slow) return nullptr;
  auto rounded = [](const std::optional<double>& times) {
    return times ? Json(std::round(100 * *times) / 100) : Json(nullptr);
  };
  return {{"bw_times", rounded(slow->bw_times)}, {"rtt_times", rounded(slow->rtt_times)}, {"reason", slow->reason}};
}

}  // namespace

Json TopologyEdgeToJson(const TopologyEdge& edge) {
  auto or_null = [](const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  Json object = {{"src_node_id", edge.src_node_id},
                 {"dst_node_id", edge.edge.dst_node_id},
                 {"report_ts_ms", or_null(edge.report_ts_ms)},
                 {"age_ms", or_null(edge.age_ms)}};
  object.update(EdgeToJson(edge.edge));
  object["slow"] = SlowToJson(edge.slow);
  return object;
}

namespace {

// How many edges there are of each kind.
struct EdgeCount {
  size_t all = 0;
  int64_t ok = 0, slow = 0, isolated = 0;

  void Add(v1::PathState state, bool is_slow) {
    ++all;
    slow += is_slow;
    ok += state == v1::PATH_STATE_OK;
    isolated += state == v1::PATH_STATE_ISOLATED;
  }
};

// `topology` has nodes; its edges are not looked at.
Json WithoutEdges(const Topology& topology, const EdgeCount& count) {
  Json nodes = Json::array();
  for (const TopologyNode& node : topology.nodes) nodes.push_back(TopologyNodeToJson(node));
  return {{"schema_version", 1},
          {"generated_at_ms", topology.generated_at_ms},
          {"directed", true},
          {"num_reports", topology.num_reports()},
          {"num_nodes", topology.nodes.size()},
          {"num_edges", count.all},
          {"num_ok_edges", count.ok},
          {"num_slow_edges", count.slow},
          {"num_isolated_edges", count.isolated},
          {"num_reachable_nodes", topology.num_reachable_nodes()},
          {"num_lost_nodes", topology.lost.size()},
          {"warnings", topology.warnings},
          {"nodes", std::move(nodes)},
          {"lost_nodes", LostNodesToJson(topology.lost)},
          {"edges", Json::array()}};
}

absl::Status TooManyEdges(const std::string& number, size_t nodes) {
  return absl::ResourceExhaustedError(
      fmt::format("{} nodes have {} edges, and this document holds {}: ask for /api/v0/network_matrix, which has every "
                  "pair in some 30 bytes, and for /api/v0/network_edge?src=HEX&dst=HEX, which has one pair",
                  nodes, number, kMaxTopologyDocumentEdges));
}

}  // namespace

Json TopologyToJson(const Topology& topology) {
  EdgeCount count;
  for (const TopologyEdge& edge : topology.edges) count.Add(edge.edge.state, edge.slow.has_value());
  Json object = WithoutEdges(topology, count);
  for (const TopologyEdge& edge : topology.edges) object["edges"].push_back(TopologyEdgeToJson(edge));
  return object;
}

// The nodes and the counts come first in the document, so the cluster is judged twice: that is cheap beside the
// writing, and nothing but the text is kept of the edges.
absl::StatusOr<std::string> TopologyDocument(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                             MonotonicTime now, const std::string& message, bool with_edges,
                                             const SlowMarks* marks) {
  const size_t pairs = view.nodes.size() * (view.nodes.size() - (view.nodes.empty() ? 0 : 1));
  if (with_edges && pairs > kMaxTopologyDocumentEdges)
    return TooManyEdges(fmt::format("at least {}", pairs), view.nodes.size());
  EdgeCount count;
  Topology topology;
  topology.generated_at_ms = now_epoch_ms;
  topology.nodes = JudgeCluster(view, settings, now_epoch_ms, now, marks,
                                [&](const JudgedEdge& edge) { count.Add(edge.state, edge.slow.any()); });
  if (with_edges && count.all > kMaxTopologyDocumentEdges)
    return TooManyEdges(fmt::format("{}", count.all), view.nodes.size());
  topology.lost = LostNodes(view, now);
  topology.warnings = TopologyWarnings(topology.nodes);
  std::string text = EnvelopeJson(WithoutEdges(topology, count), message);
  if (!with_edges) return text;
  const std::string end = "]}}}";
  text.resize(text.size() - end.size());
  const char* separator = "";
  JudgeCluster(view, settings, now_epoch_ms, now, marks, [&](const JudgedEdge& edge) {
    text += separator;
    text += DumpJson(TopologyEdgeToJson(CopyOf(edge)));
    separator = ",";
  });
  text += end;
  return text;
}

}  // namespace netsense
