// Untrusted: everything that the nodes of a cluster wrote into the KV, together, as a head reads it and shows it: the
// topology, the matrix, metrics, the status, Prometheus's targets, the plan. The input is a byte that says for how long
// it has stood there, and a list of "key=value" with a line "---" between them; "$0" is the first node's id. What must
// hold: every document is one, and no state and no figure in them says more than it may.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/limits.h"
#include "raylet_bridge/cli/head_api.h"
#include "raylet_bridge/cli/status.h"
#include "raylet_bridge/cluster/cluster_reader.h"
#include "raylet_bridge/cluster/edge_history.h"
#include "raylet_bridge/cluster/matrix_document.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/plan/mesh_plan.h"
#include "raylet_bridge/records/kv_keys.h"
#include "raylet_bridge/serve/file_sd.h"
#include "raylet_bridge/serve/metrics.h"
#include "raylet_bridge/serve/node_document.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/matrix_reader.h"
#include "tests/fuzz/node_ids.h"
#include "tests/unit/fake_gcs.h"

namespace netsense::fuzz {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

// Text that a terminal shows and is not led by; beyond ASCII it may be anything, as in names.
bool SteersNoTerminal(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\n' || (c >= 0x20 && c != 0x7f); });
}

void CheckTopology(const Topology& topology) {
  for (const TopologyEdge& edge : topology.edges) {
    MustHold(edge.edge.state == v1::PATH_STATE_OK || !(edge.edge.rtt_p50_ms || edge.edge.bw_p50_mbps || edge.slow),
             "what is not OK has no figure");
    MustHold(edge.edge.state != v1::PATH_STATE_OK || edge.edge.rtt_p50_ms, "what is OK has a round trip");
  }
  MustHold(topology.num_reachable_nodes() <= static_cast<int64_t>(topology.nodes.size()),
           "no more nodes are reachable than there are");
  MustHold(SteersNoTerminal(RenderStatus(topology, {.all = true})), "the status steers no terminal");
  MustHold(nlohmann::json::accept(StatusJson(topology)), "the status is JSON");
}

// Prometheus's text format: each line a comment, or a name, labels and a number.
void CheckMetrics(const std::string& page) {
  Input lines(page);
  while (!lines.empty()) {
    const std::string_view line = lines.TakeUntil("\n");
    if (line.empty() || line.starts_with("# ")) continue;
    MustHold(line.starts_with("ray_network_sense_"), "each line of the metrics is one of ours");
    const std::string_view number = line.substr(line.rfind(' ') + 1);
    MustHold(!number.empty() && number.find_first_not_of("0123456789.eE+-NaInf") == std::string::npos,
             "each line of the metrics ends in a number");
    MustHold(std::count(line.begin(), line.end(), '"') % 2 == 0 || line.find("\\\"") != std::string::npos,
             "labels are closed");
  }
}

void CheckPlan(const ClusterView& view, Settings settings) {
  settings.enabled = settings.bw_enabled = true;
  std::map<std::string, DoorRecord> doors;
  for (const auto& [id, door] : view.doors)
    if (door.ok()) doors.emplace(id, *door);
  const auto granted = ClampPlan(MakeMeshPlan(NodeId(0), view.nodes, doors, settings), DefaultLimits());
  MustHold(granted.ok() && granted->clamped.empty(), "an engine takes the plan as it is");
}

void Show(FakeGcs& gcs, const ClusterView& view, const Settings& settings, MonotonicTime now) {
  const Topology topology = BuildTopology(view, settings, kNowMs, now);
  CheckTopology(topology);
  const auto marks = FindSlowMarks(view, settings, kNowMs, now);
  const auto document = TopologyDocument(view, settings, kNowMs, now, "", true, marks.get());
  const auto read = ParseTopologyDocument(*document);
  MustHold(read.ok() && read->edges.size() == topology.edges.size() && read->num_ok_edges() == topology.num_ok_edges(),
           "who asks the head sees what it sees");
  CheckTopology(*read);
  if (const auto matrix = BuildMatrix(view, settings, kNowMs, now, std::nullopt, marks.get()); matrix.ok())
    CheckMatrixDocument(MatrixToBytes(*matrix, ""), view.nodes.size());
  EdgeHistory history;
  history.Look(view, settings, kNowMs, now);
  (void)history.Of(NodeId(0), NodeId(1), kNowMs, now);
  MustHold(nlohmann::json::accept(FileSdJson(view, "cluster")), "Prometheus's targets are JSON");
  MustHold(nlohmann::json::accept(NodeDocument(topology.nodes.front(), gcs.Get(InventoryKey(NodeId(0))), "")),
           "a node's document is JSON");
  BridgeState state;
  state.node_id = NodeId(0);
  state.settings = settings;
  state.view = std::make_shared<const ClusterView>(view);
  CheckMetrics(MetricsText(state, true, kNowMs, now));
  CheckPlan(view, settings);
}

void Run(std::string_view bytes) {
  FakeGcs gcs;
  for (size_t i = 0; i < kNodes; ++i)
    gcs.nodes.push_back({NodeId(i), "10.0.0." + std::to_string(i + 1), "n", true, i == 0, 0});
  ClusterReader reader(&gcs);
  const MonotonicTime now = MonotonicNow();
  MustHold(reader.Poll(true, now).ok(), "an empty KV can be read");
  Input input(bytes);
  constexpr std::array kAges = {std::chrono::seconds(0), std::chrono::seconds(4), std::chrono::seconds(100)};
  const std::chrono::seconds passed = kAges[input.Byte() % kAges.size()];
  while (!input.empty()) {
    Input entry(input.TakeUntil("\n---\n"));
    const std::string key = WithNodeIds(entry.TakeUntil("="));
    gcs.table[key] = WithNodeIds(entry.Rest());
  }
  MustHold(reader.Poll(true, now).ok(), "whatever stands in the KV can be read");
  (void)FindHeadApi(gcs);
  SettingsSources sources;
  if (auto cluster = ParseSettingsJson(gcs.table[kConfigKey], "config"); cluster.ok())
    sources.cluster = *std::move(cluster);
  const auto resolved = ResolveSettings(sources);
  const Settings settings = resolved.ok() ? Settings(*resolved) : Settings();
  Show(gcs, *reader.view(), settings, now + passed);
}

const Harness kHarness("cluster", Run);

}  // namespace
}  // namespace netsense::fuzz
