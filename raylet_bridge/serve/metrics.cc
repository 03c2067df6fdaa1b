#include "raylet_bridge/serve/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "proto/enum_names.h"
#include "raylet_bridge/cluster/layer.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/records/report.h"
#include "raylet_bridge/serve/metric_page.h"

namespace netsense {
namespace {

using Labels = MetricPage::Labels;

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1e3; }
double BytesPerSecond(double mbps) { return mbps * 1e6 / 8; }

Labels LabelsOf(const Layer& layer) {
  const std::string rail = layer.cross_rail ? "cross" : layer.rail ? std::to_string(*layer.rail) : "";
  return {{"transport", layer.transport}, {"fabric", layer.fabric}, {"rail", rail}};
}

Labels operator+(Labels labels, const prometheus::ClientMetric::Label& more) {
  labels.push_back(more);
  return labels;
}

// What the edges of one layer come to.
struct LayerEdges {
  std::array<int64_t, v1::PathState_ARRAYSIZE> of_state{};
  // Of edges whose bandwidth is probed, and whose turn came once: in a large cluster a round takes hours. An edge that
  // is bad for another reason is in none but FAILED. Nothing = bandwidth is not probed in this layer.
  std::optional<std::array<int64_t, v1::BandwidthState_ARRAYSIZE>> of_bandwidth_state;
  int64_t down = 0;  // between nodes that are reachable
  int64_t slow_bandwidth = 0, slow_rtt = 0;
  std::vector<double> bandwidths_mbps, rtts_ms;
  std::optional<double> worst_percent;
  std::optional<int64_t> oldest_ok_ms, oldest_bandwidth_ms;

  void Count(v1::PathState state) {
    ++of_state[static_cast<size_t>(v1::PathState_IsValid(state) ? state : v1::PATH_STATE_UNKNOWN)];
  }
  void Add(const ReportEdge& edge) {
    Count(edge.state);
    if (edge.bw_life_ms) {
      if (!of_bandwidth_state) of_bandwidth_state.emplace();
      const bool had_a_turn = edge.bw_probes + edge.bw_busy + edge.bw_deferred > 0;
      if (edge.bw_state == v1::BANDWIDTH_STATE_FAILED || (edge.state == v1::PATH_STATE_OK && had_a_turn))
        ++(*of_bandwidth_state)[static_cast<size_t>(edge.bw_state)];
    }
    if (edge.bw_p50_mbps) bandwidths_mbps.push_back(*edge.bw_p50_mbps);
    if (edge.rtt_p50_ms) rtts_ms.push_back(*edge.rtt_p50_ms);
    if (edge.bw_percent) worst_percent = std::min(worst_percent.value_or(*edge.bw_percent), *edge.bw_percent);
    if (edge.last_ok_age_ms) oldest_ok_ms = std::max(oldest_ok_ms.value_or(0), *edge.last_ok_age_ms);
    if (edge.bw_age_ms) oldest_bandwidth_ms = std::max(oldest_bandwidth_ms.value_or(0), *edge.bw_age_ms);
  }
};

// The mean of the two in the middle where their number is even.
double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

void AddStates(const std::string& name, const char* help, const Layer& layer, const LayerEdges& edges,
               MetricPage& page) {
  for (size_t state = 0; state < edges.of_state.size(); ++state)
    page.Gauge(name, help,
               LabelsOf(layer) + Labels::value_type{"state", PathStateName(static_cast<v1::PathState>(state))},
               static_cast<double>(edges.of_state[state]));
}

void AddEngine(const BridgeState& state, MonotonicTime now, MetricPage& page) {
  const EngineDriver::State& engine = state.engine;
  page.Gauge("build_info", "1; what runs here stands in the labels",
             {{"version", NETSENSE_VERSION}, {"engine_version", engine.info ? engine.info->software_version() : ""}},
             1);
  page.Gauge("probing_enabled", "1 when network_sense_enabled is true", {}, state.settings.enabled ? 1 : 0);
  page.Gauge("engine_up", "1 while this node's engine can be heard", {}, engine.problem.empty() ? 1 : 0);
  if (engine.heard_age_ms)
    page.Gauge("engine_heard_age_seconds", "since this node's engine said anything", {}, Seconds(*engine.heard_age_ms));
  page.Gauge("gcs_heard_age_seconds", "since the GCS answered, or, where it never has, since this bridge began", {},
             Seconds(MillisSince(state.gcs_heard.value_or(state.started), now)));
  if (state.published.last_written)
    page.Gauge("report_age_seconds", "since this node's bridge last wrote to the GCS", {},
               Seconds(MillisSince(*state.published.last_written, now)));
  page.Counter("gcs_writes_total", "writes that the GCS took", {}, state.published.written);
  page.Counter("gcs_write_failures_total", "writes that the GCS did not take, each try", {}, state.published.failed);
  if (!engine.whole) return;
  const v1::EngineCounters& counters = engine.whole->counters();
  page.Counter("door_accepted_total", "connections that passed this node's door", {}, counters.door_accepted());
  page.Counter("door_rejected_total", "connections that this node's door closed at or before authentication", {},
               counters.door_rejected());
  page.Counter("door_token_refused_total", "of those, the ones with a wrong token", {}, counters.door_token_refused());
  page.Counter("sessions_granted_total", "sessions that peers were granted", {}, counters.sessions_granted());
  page.Counter("sessions_refused_total", "sessions that peers were refused: busy, budget, unknown node", {},
               counters.sessions_refused());
  page.Counter("leases_expired_total", "times that the bridge did not renew the plan in time", {},
               counters.leases_expired());
  page.Gauge("ping_lateness_max_seconds", "worst start of a ping behind its due time, since the plan was applied", {},
             static_cast<double>(counters.max_ping_lateness_ms()) / 1e3);
}

constexpr char kRtt[] = "full round trips";
constexpr char kNetworkRtt[] = "round trips without the time that the responder held them";
constexpr char kPings[] = "pings sent";
constexpr char kLost[] = "pings that no answer came to in time";

void AddTotals(const EngineDriver::State& engine, MetricPage& page) {
  if (!engine.info || !engine.whole) return;
  for (const v1::PathTotals& totals : engine.whole->totals()) {
    const Labels labels = LabelsOf(LayerOf(totals));
    page.Histogram("rtt_seconds", kRtt, labels, totals.rtt(), *engine.info);
    page.Histogram("network_rtt_seconds", kNetworkRtt, labels, totals.network_rtt(), *engine.info);
    page.Counter("pings_total", kPings, labels, totals.pings_sent());
    page.Counter("pings_lost_total", kLost, labels, totals.pings_lost());
    page.Counter("bandwidth_probes_total", "bandwidth probes made", labels, totals.bandwidth_probes());
    page.Counter("bandwidth_failed_total", "of those, the ones that were tried and gave nothing", labels,
                 totals.bandwidth_failed());
    page.Counter("ping_retransmits_total", "segments that TCP sent again for pings, on both sides: lost packets",
                 labels, totals.retransmits());
    page.Counter("bandwidth_busy_total", "bandwidth probes put off because the peer's port was taken", labels,
                 totals.bandwidth_busy());
    page.Counter("bandwidth_deferred_total", "bandwidth probes held back by a budget, ours or the peer's", labels,
                 totals.bandwidth_deferred());
  }
}

void AddLayers(const Report& report, MetricPage& page) {
  std::map<Layer, LayerEdges> layers;
  for (const ReportEdge& edge : report.edges) layers[LayerOf(edge)].Add(edge);
  for (const auto& [layer, edges] : layers) {
    const Labels labels = LabelsOf(layer);
    AddStates("edges", "edges that leave this node, by state", layer, edges, page);
    if (!edges.bandwidths_mbps.empty()) {
      const double worst = *std::min_element(edges.bandwidths_mbps.begin(), edges.bandwidths_mbps.end());
      page.Gauge("bandwidth_worst_bytes_per_second", "of the slowest edge that leaves this node", labels,
                 BytesPerSecond(worst));
      page.Gauge("bandwidth_median_bytes_per_second", "of the edges that leave this node", labels,
                 BytesPerSecond(Median(edges.bandwidths_mbps)));
    }
    for (size_t of = 0; edges.of_bandwidth_state && of < edges.of_bandwidth_state->size(); ++of)
      page.Gauge("bandwidth_edges", "edges that leave this node and whose bandwidth was probed, by what is known of it",
                 labels + Labels::value_type{"state", BandwidthStateName(static_cast<v1::BandwidthState>(of))},
                 static_cast<double>((*edges.of_bandwidth_state)[of]));
    if (!edges.rtts_ms.empty()) {
      page.Gauge("rtt_worst_seconds", "of the windows' medians: of the edge where it is longest", labels,
                 *std::max_element(edges.rtts_ms.begin(), edges.rtts_ms.end()) / 1e3);
      page.Gauge("rtt_median_seconds", "of the edges that leave this node", labels, Median(edges.rtts_ms) / 1e3);
    }
    if (edges.worst_percent)
      page.Gauge("bandwidth_expected_worst_ratio", "measured by expected bandwidth, of the edge where it is least",
                 labels, *edges.worst_percent / 100);
    if (edges.oldest_ok_ms)
      page.Gauge("oldest_rtt_age_seconds", "since the last good round trip, of the edge where it is longest ago",
                 labels, Seconds(*edges.oldest_ok_ms));
    if (edges.oldest_bandwidth_ms)
      page.Gauge("oldest_bandwidth_age_seconds", "since the last bandwidth sample, of the edge where it is longest ago",
                 labels, Seconds(*edges.oldest_bandwidth_ms));
  }
}

// Node x node. `report` has an edge for each path of the plan, in its order; a path's ports in the plan tell it from
// every other one, also before it was measured.
void AddDetail(const BridgeState& state, const Report& report, MetricPage& page) {
  const EngineDriver::State& engine = state.engine;
  std::map<std::string, std::string> addresses;
  for (const ClusterNode& node : state.view->nodes) addresses[node.node_id] = node.address;
  for (size_t i = 0; i < report.edges.size(); ++i) {
    const ReportEdge& edge = report.edges[i];
    const v1::PlannedPath& path = engine.plan->paths(static_cast<int>(i));
    Labels labels = LabelsOf(LayerOf(edge));
    labels.insert(labels.end(), {{"dst_node", edge.dst_node_id},
                                 {"dst_address", addresses[edge.dst_node_id]},
                                 {"src_port", path.source_port()},
                                 {"dst_port", path.destination_port()}});
    page.Gauge("edge_state", "1; the state stands in the label",
               labels + Labels::value_type{"state", PathStateName(edge.state)}, 1);
    if (edge.bw_p50_mbps)
      page.Gauge("edge_bandwidth_bytes_per_second", "payload that the peer received", labels,
                 BytesPerSecond(*edge.bw_p50_mbps));
    if (edge.bw_percent)
      page.Gauge("edge_bandwidth_expected_ratio", "measured by expected bandwidth", labels, *edge.bw_percent / 100);
    if (edge.last_ok_age_ms)
      page.Gauge("edge_rtt_age_seconds", "since the last good round trip", labels, Seconds(*edge.last_ok_age_ms));
    const auto& reading = (*engine.readings)[i];
    if (reading == nullptr || !engine.info) continue;
    const v1::PathResult& result = reading->result;
    page.Histogram("edge_rtt_seconds", kRtt, labels, result.rtt_histogram(), *engine.info);
    page.Histogram("edge_network_rtt_seconds", kNetworkRtt, labels, result.network_rtt_histogram(), *engine.info);
    page.Counter("edge_pings_total", kPings, labels, result.pings_sent());
    page.Counter("edge_pings_lost_total", kLost, labels, result.pings_lost());
  }
}

// Other nodes' reports name what they like: more layers than any cluster has are one.
constexpr size_t kMostLayers = 512;

LayerEdges& FindLayer(const ReportEdge* edge, std::map<Layer, LayerEdges>& layers) {
  const Layer layer = edge == nullptr ? Layer() : LayerOf(*edge);
  if (layers.size() >= kMostLayers && !layers.contains(layer)) return layers[{"other", "other"}];
  return layers[layer];
}

constexpr char kReachable[] = "1 when at least half of the nodes that can tell reach it; 0 of a lost one";

bool IsDown(v1::PathState state) {
  return state == v1::PATH_STATE_UNREACHABLE || state == v1::PATH_STATE_REFUSED ||
         state == v1::PATH_STATE_VERSION_MISMATCH;
}

// Where both nodes can be reached: a node that nobody reaches is one fault, and not one of each edge to it.
struct DownEdge {
  size_t src, dst;  // places
  LayerEdges* layer;
};

void AddCluster(const BridgeState& state, int64_t now_epoch_ms, MonotonicTime now, MetricPage& page) {
  std::map<Layer, LayerEdges> layers;
  std::vector<DownEdge> down;
  const ReportEdge* last = nullptr;
  LayerEdges* layer_of_last = nullptr;
  const auto marks = FindSlowMarks(*state.view, state.settings, now_epoch_ms, now);
  const auto nodes =
      JudgeCluster(*state.view, state.settings, now_epoch_ms, now, marks.get(), [&](const JudgedEdge& edge) {
        if (layer_of_last == nullptr || !OfOneLayer(last, edge.reported))
          layer_of_last = &FindLayer(edge.reported, layers);
        last = edge.reported;
        layer_of_last->Count(edge.state);
        layer_of_last->slow_bandwidth += edge.slow.bandwidth_times > 0;
        layer_of_last->slow_rtt += edge.slow.rtt_times > 0;
        if (IsDown(edge.state)) down.push_back({edge.src_place, edge.dst_place, layer_of_last});
      });
  for (const DownEdge& edge : down) edge.layer->down += nodes[edge.src].reachable && nodes[edge.dst].reachable ? 1 : 0;
  int64_t judged = 0, reachable = 0, reporting = 0;
  for (const TopologyNode& node : nodes) {
    // Where nobody can tell, neither 1 nor 0 is true: probing is disabled, or all reports are old.
    const bool known = node.num_voters > 0 || node.reachable;
    judged += known ? 1 : 0;
    reachable += node.reachable ? 1 : 0;
    reporting += node.state == v1::PATH_STATE_OK ? 1 : 0;
    const Labels labels = {
        {"node", node.node.node_id}, {"node_address", node.node.address}, {"node_hostname", node.node.hostname}};
    if (known) page.Gauge("cluster_node_reachable", kReachable, labels, node.reachable ? 1 : 0);
    if (node.report_age_ms)
      page.Gauge("cluster_node_report_age_seconds", "of the node's newest report", labels,
                 Seconds(*node.report_age_ms));
  }
  for (const LostNode& lost : state.view->lost) {
    const Labels labels = {
        {"node", lost.node.node_id}, {"node_address", lost.node.address}, {"node_hostname", lost.node.hostname}};
    page.Gauge("cluster_node_reachable", kReachable, labels, 0);
    page.Gauge("cluster_node_lost_age_seconds", "since a node was noticed to have ended without saying so", labels,
               Seconds(MillisSince(lost.since, now)));
  }
  page.Gauge("cluster_lost_nodes", "nodes that ended without saying so", {},
             static_cast<double>(state.view->lost.size()));
  page.Gauge("cluster_nodes", "nodes that the GCS says are alive", {}, static_cast<double>(nodes.size()));
  if (judged > 0)
    page.Gauge("cluster_reachable_nodes", "nodes that at least half of those that can tell reach", {},
               static_cast<double>(reachable));
  page.Gauge("cluster_reporting_nodes", "nodes whose report is not stale", {}, static_cast<double>(reporting));
  for (const auto& [layer, edges] : layers) {
    AddStates("cluster_edges", "edges of the whole cluster, by state", layer, edges, page);
    for (const auto& [figure, number] : {std::pair("bandwidth", edges.slow_bandwidth), {"rtt", edges.slow_rtt}})
      page.Gauge("cluster_edges_slow", "OK edges that are slow beside others of their class, by what is slow",
                 LabelsOf(layer) + Labels::value_type{"figure", figure}, static_cast<double>(number));
    page.Gauge("cluster_edges_down", "edges that are down, without those of nodes that most do not reach",
               LabelsOf(layer), static_cast<double>(edges.down));
  }
}

}  // namespace

std::string MetricsText(const BridgeState& state, bool whole_cluster, int64_t now_epoch_ms, MonotonicTime now) {
  const Report report = MakeReport(*state.engine.plan, *state.engine.readings, state.engine.problem, {}, state.settings,
                                   now_epoch_ms, now);
  MetricPage page;
  AddEngine(state, now, page);
  AddTotals(state.engine, page);
  AddLayers(report, page);
  if (state.settings.metrics_detail) AddDetail(state, report, page);
  if (whole_cluster) AddCluster(state, now_epoch_ms, now, page);
  return page.Text();
}

}  // namespace netsense
