#include "raylet_bridge/cluster/topology.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "raylet_bridge/cli/head_api.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

const std::string kA(56, 'a'), kB(56, 'b'), kC(56, 'c');
constexpr int64_t kNow = 1'700'000'000'000;

ReportEdge OkEdge(const std::string& dst, double rtt_p50_ms = 0.07) {
  ReportEdge edge;
  edge.dst_node_id = dst;
  edge.transport = "tcp";
  edge.state = v1::PATH_STATE_OK;
  edge.rtt_ms = edge.rtt_p50_ms = rtt_p50_ms;
  edge.bw_state = v1::BANDWIDTH_STATE_MEASURED;
  edge.bw_age_ms = 0;
  edge.bw_life_ms = 60'000;
  edge.bw_p50_mbps = 9420.1;
  edge.rtt_age_ms = 300;
  edge.last_ok_age_ms = 300;
  return edge;
}

Report ReportFrom(const std::string& node_id, std::vector<ReportEdge> edges, int64_t ts_ms = kNow) {
  return {node_id, ts_ms, "0.1.0", 2000, 0, "", std::move(edges)};
}

DoorRecord DoorOf(const std::string& node_id) {
  DoorRecord door;
  door.node_id = node_id;
  door.address = "10.0.0.1";
  door.port = 1;
  return door;
}

ClusterView ViewOfOne() {
  ClusterView view;
  view.nodes.push_back({kA, "10.0.0.1", "host", true, true, 0});
  view.doors.emplace(kA, DoorOf(kA));
  view.reports.emplace(kA, ReportFrom(kA, {}));
  return view;
}

ClusterView FullView() {
  ClusterView view;
  const std::string all[] = {kA, kB, kC};
  for (const std::string& id : all) {
    view.nodes.push_back({id, "10.0.0.1", "host", true, id == kA, 0});
    view.doors.emplace(id, DoorOf(id));
    std::vector<ReportEdge> edges;
    for (const std::string& other : all)
      if (other != id) edges.push_back(OkEdge(other));
    view.reports.emplace(id, ReportFrom(id, edges));
  }
  return view;
}

Topology Build(const ClusterView& view, int64_t now_epoch_ms = kNow, MonotonicTime now = {}) {
  return BuildTopology(view, Settings(), now_epoch_ms, now);
}

std::string DocumentOf(const ClusterView& view, int64_t now_epoch_ms = kNow, const std::string& message = "") {
  auto document = TopologyDocument(view, Settings(), now_epoch_ms, MonotonicTime(), message, true,
                                   FindSlowMarks(view, Settings(), now_epoch_ms, MonotonicTime()).get());
  EXPECT_TRUE(document.ok()) << document.status();
  return document.value_or("");
}

const TopologyEdge& EdgeOf(const Topology& topology, const std::string& src, const std::string& dst) {
  for (const TopologyEdge& edge : topology.edges)
    if (edge.src_node_id == src && edge.edge.dst_node_id == dst) return edge;
  ADD_FAILURE() << "no edge";
  static const TopologyEdge none;
  return none;
}

// Where there is no edge to tell of it.
TEST(Topology, ANodeAloneIsReachableWhileItReportsAndHasADoor) {
  ClusterView view = ViewOfOne();
  EXPECT_TRUE(Build(view).nodes.at(0).reachable);
  view.doors.clear();
  EXPECT_FALSE(Build(view).nodes.at(0).reachable) << "its engine never started";
  view = ViewOfOne();
  view.reports.clear();
  EXPECT_FALSE(Build(view).nodes.at(0).reachable);
}

TEST(Topology, EverythingGood) {
  Topology topology = Build(FullView(), kNow + 500);
  EXPECT_EQ(topology.edges.size(), 6u);
  EXPECT_EQ(topology.num_ok_edges(), 6);
  EXPECT_EQ(topology.num_reports(), 3);
  EXPECT_EQ(topology.num_reachable_nodes(), 3);
  const TopologyEdge& edge = EdgeOf(topology, kA, kB);
  EXPECT_EQ(edge.age_ms, 500);
  EXPECT_EQ(edge.edge.rtt_age_ms, 800) << "ages are as of generated_at_ms";
}

TEST(Topology, OldReportIsStaleAndWithoutFigures) {
  Settings settings;
  Topology at_ttl = Build(FullView(), kNow + settings.rtt_ttl_ms);
  EXPECT_EQ(at_ttl.num_ok_edges(), 6);
  Topology topology = Build(FullView(), kNow + settings.rtt_ttl_ms + 1);
  EXPECT_EQ(topology.num_ok_edges(), 0);
  EXPECT_EQ(topology.num_reachable_nodes(), 0);
  const TopologyEdge& edge = EdgeOf(topology, kA, kB);
  EXPECT_EQ(edge.edge.state, v1::PATH_STATE_STALE);
  EXPECT_FALSE(edge.edge.rtt_ms || edge.edge.rtt_p50_ms || edge.edge.bw_p50_mbps);
  EXPECT_EQ(edge.edge.last_ok_age_ms, 300 + int64_t{settings.rtt_ttl_ms} + 1);
  EXPECT_FALSE(edge.edge.reason.empty());
}

TEST(Topology, AReportsOwnTimeToLiveGoesBeforeTheReadersSettings) {
  ClusterView view = FullView();
  Report patient = ReportFrom(kA, {OkEdge(kB), OkEdge(kC)});
  patient.ttl_ms = 10 * int64_t{Settings().rtt_ttl_ms};
  view.reports.erase(kA);
  view.reports.emplace(kA, patient);
  Topology topology = Build(view, kNow + Settings().rtt_ttl_ms + 1);
  EXPECT_EQ(EdgeOf(topology, kA, kB).edge.state, v1::PATH_STATE_OK);
  EXPECT_EQ(EdgeOf(topology, kB, kA).edge.state, v1::PATH_STATE_STALE);
}

TEST(Topology, PairsThatNobodyReportedAreUnknownWithTheReason) {
  ClusterView view = FullView();
  view.reports.erase(kC);
  view.reports.erase(kB);
  view.reports.emplace(kB, absl::InvalidArgumentError("it is not a JSON object"));
  view.reports.erase(kA);
  view.reports.emplace(kA, ReportFrom(kA, {OkEdge(kB)}));
  view.doors.erase(kC);
  Topology topology = Build(view);
  EXPECT_EQ(topology.edges.size(), 6u);
  EXPECT_EQ(topology.num_ok_edges(), 1);
  auto reason = [&](const std::string& src, const std::string& dst) {
    EXPECT_EQ(EdgeOf(topology, src, dst).edge.state, v1::PATH_STATE_UNKNOWN);
    return EdgeOf(topology, src, dst).edge.reason;
  };
  EXPECT_NE(reason(kC, kA).find("no report from this node"), std::string::npos);
  EXPECT_NE(reason(kB, kA).find("not a JSON object"), std::string::npos);
  EXPECT_NE(reason(kA, kC).find("no door record from this node"), std::string::npos);
  EXPECT_EQ(topology.num_reachable_nodes(), 1) << "b, which the only reporting node reaches";
}

TEST(Topology, DisabledNodeSaysSo) {
  ClusterView view = FullView();
  Report disabled = ReportFrom(kA, {});
  disabled.reason = "probing is disabled";
  view.reports.erase(kA);
  view.reports.emplace(kA, disabled);
  EXPECT_EQ(EdgeOf(Build(view), kA, kB).edge.reason, "source: probing is disabled");
}

TEST(Topology, ANodeWithoutADoorSaysWhyItself) {
  ClusterView view = FullView();
  view.doors.erase(kC);
  view.reports.at(kC)->reason = "the engine (pid 7) ended with exit code 3: cannot listen";
  view.reports.at(kC)->edges.clear();
  view.reports.at(kA)->edges.pop_back();
  const Topology topology = Build(view);
  EXPECT_EQ(topology.nodes[2].reason, "the engine (pid 7) ended with exit code 3: cannot listen");
  EXPECT_EQ(EdgeOf(topology, kA, kC).edge.reason,
            "destination: the engine (pid 7) ended with exit code 3: cannot listen");
  EXPECT_EQ(topology.warnings,
            std::vector<std::string>{"host has no door: the engine (pid 7) ended with exit code 3: cannot listen"});
}

TEST(Topology, NodesThatAreNotAliveHaveNoPlace) {
  ClusterView view = FullView();
  view.nodes.pop_back();
  Topology topology = Build(view);
  EXPECT_EQ(topology.nodes.size(), 2u);
  EXPECT_EQ(topology.edges.size(), 2u);
  EXPECT_EQ(topology.nodes[0].num_out_edges, 1);
}

TEST(Topology, ReachableMeansByHalfOfThoseThatCanTell) {
  // What a and b say of c.
  auto reachable = [](v1::PathState from_a, v1::PathState from_b) {
    ClusterView view = FullView();
    view.reports.clear();
    ReportEdge edge = OkEdge(kC);
    edge.state = from_a;
    view.reports.emplace(kA, ReportFrom(kA, {OkEdge(kB), edge}));
    edge.state = from_b;
    view.reports.emplace(kB, ReportFrom(kB, {OkEdge(kA), edge}));
    return Build(view).nodes[2].reachable;
  };
  using enum v1::PathState;
  EXPECT_TRUE(reachable(PATH_STATE_OK, PATH_STATE_DEGRADED));
  EXPECT_TRUE(reachable(PATH_STATE_OK, PATH_STATE_UNREACHABLE)) << "one of two";
  EXPECT_FALSE(reachable(PATH_STATE_REFUSED, PATH_STATE_UNREACHABLE));
  EXPECT_TRUE(reachable(PATH_STATE_OK, PATH_STATE_UNKNOWN)) << "who can't tell has no vote";
  EXPECT_FALSE(reachable(PATH_STATE_UNREACHABLE, PATH_STATE_STALE));
  EXPECT_FALSE(reachable(PATH_STATE_UNKNOWN, PATH_STATE_UNKNOWN)) << "nobody can tell";
  ClusterView silent = FullView();
  silent.reports.clear();
  EXPECT_EQ(Build(silent).num_reachable_nodes(), 0);
}

TEST(Topology, ReportFromTheFutureIsNewAndSaysSo) {
  Topology topology = Build(FullView(), kNow - 61'000);
  EXPECT_EQ(topology.num_ok_edges(), 6);
  EXPECT_EQ(topology.nodes[0].report_age_ms, 0);
  EXPECT_NE(topology.nodes[0].reason.find("61 s ahead"), std::string::npos);
  EXPECT_EQ(Build(FullView(), kNow - 14'000).nodes[0].reason, "") << "10 s and two ticks";
}

TEST(Topology, Json) {
  auto envelope = nlohmann::json::parse(DocumentOf(FullView(), kNow + 1, "hello"));
  EXPECT_EQ(envelope["result"], true);
  EXPECT_EQ(envelope["msg"], "hello");
  const auto& payload = envelope["data"]["result"];
  EXPECT_EQ(payload["schema_version"], 1);
  EXPECT_EQ(payload["directed"], true);
  EXPECT_EQ(payload["num_nodes"], 3);
  EXPECT_EQ(payload["num_edges"], 6);
  EXPECT_EQ(payload["generated_at_ms"], kNow + 1);
  EXPECT_EQ(payload["nodes"][0]["last_report_ts_ms"], kNow);
  EXPECT_EQ(payload["nodes"][0]["num_out_edges"], 2);
  const auto& edge = payload["edges"][0];
  EXPECT_EQ(edge["src_node_id"], kA);
  EXPECT_EQ(edge["dst_node_id"], kB);
  EXPECT_EQ(edge["report_ts_ms"], kNow);
  EXPECT_EQ(edge["age_ms"], 1);
  EXPECT_DOUBLE_EQ(edge["rtt_p50_ms"].get<double>(), 0.07);
  EXPECT_DOUBLE_EQ(edge["bw_p50_mbps"].get<double>(), 9420.1);
}

TEST(Topology, JsonOfTextThatIsNotUtf8) {
  ClusterView view = FullView();
  view.nodes[0].hostname = "\xff\xfe";
  EXPECT_FALSE(nlohmann::json::parse(DocumentOf(view), nullptr, false).is_discarded());
}

// Edges of every kind: two paths, none, a source without a report, a stale one.
ClusterView MixedView() {
  ClusterView view = FullView();
  ReportEdge isolated = OkEdge(kB);
  isolated.transport = "verbs";
  isolated.state = v1::PATH_STATE_ISOLATED;
  view.reports[kA]->edges = {OkEdge(kC), OkEdge(kB), isolated};
  view.reports.erase(kB);
  view.reports[kC]->ts_ms -= 60'000;
  view.reports[kC]->edges.pop_back();
  return view;
}

TEST(Topology, TheDocumentIsTheTopology) {
  for (const ClusterView& view : {FullView(), MixedView(), ClusterView()}) {
    const auto wanted = TopologyToJson(Build(view));
    EXPECT_EQ(
        nlohmann::ordered_json::parse(DocumentOf(view, kNow, "m")),
        nlohmann::ordered_json::parse(DumpJson({{"result", true}, {"msg", "m"}, {"data", {{"result", wanted}}}})));
  }
}

TEST(Topology, OnePairIsAsInTheWhole) {
  const ClusterView view = MixedView();
  const Topology whole = Build(view);
  size_t found = 0;
  for (const std::string& src : {kA, kB, kC})
    for (const std::string& dst : {kA, kB, kC}) {
      auto wanted = nlohmann::ordered_json::array(), got = nlohmann::ordered_json::array();
      for (const TopologyEdge& edge : whole.edges)
        if (edge.src_node_id == src && edge.edge.dst_node_id == dst) wanted.push_back(TopologyEdgeToJson(edge));
      for (const TopologyEdge& edge : EdgesBetween(src, dst, view, Settings(), kNow, {}, nullptr))
        got.push_back(TopologyEdgeToJson(edge));
      EXPECT_EQ(got, wanted);
      found += got.size();
    }
  EXPECT_EQ(found, whole.edges.size());
  EXPECT_EQ(found, 7u);
  EXPECT_TRUE(EdgesBetween(kA, std::string(56, 'e'), view, Settings(), kNow, {}, nullptr).empty());
}

TEST(Topology, TooManyEdgesForADocument) {
  ClusterView many;
  for (int i = 0; i < 257; ++i) many.nodes.push_back({fmt::format("{:056x}", i), "10.0.0.1", "host", true, i == 0, 0});
  ClusterView paths = FullView();
  paths.reports[kA]->edges.assign(kMaxTopologyDocumentEdges, OkEdge(kB));
  for (const ClusterView& view : {many, paths}) {
    const auto refused = TopologyDocument(view, Settings(), kNow, {}, "", true, nullptr);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
    for (const char* other : {"/api/v0/network_matrix", "/api/v0/network_edge"})
      EXPECT_NE(refused.status().message().find(other), std::string::npos);
  }
  EXPECT_EQ(Build(many).edges.size(), 257u * 256u) << "status has no such limit";
  const auto nodes = TopologyDocument(many, Settings(), kNow, {}, "", false, nullptr);
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  const auto payload = nlohmann::json::parse(*nodes)["data"]["result"];
  EXPECT_EQ(payload["nodes"].size(), 257u);
  EXPECT_EQ(payload["num_edges"], 257 * 256);
  EXPECT_TRUE(payload["edges"].empty());
}

TEST(TopologyDocument, IsReadBackAsItWasWritten) {
  ClusterView view = FullView();
  view.reports[kA]->edges[0].rail = 3;
  view.reports[kA]->edges[0].counters = {{"symbol_error", 2}};
  view.reports[kB]->edges[0].state = v1::PATH_STATE_UNREACHABLE;
  ReportEdge& slow = view.reports[kC]->edges[0];
  slow.bw_samples = slow.bw_window = 3;
  slow.bw_mbps = slow.bw_p50_mbps = 1000;
  view.lost.push_back(
      {{.node_id = std::string(56, 'd'), .address = "10.0.0.9", .hostname = "nine"}, "gone", kNow - 5000, {}});
  const std::string document = DocumentOf(view, kNow + 100, "the GCS has not answered for 9 s");
  const auto topology = ParseTopologyDocument(document);
  ASSERT_TRUE(topology.ok()) << topology.status();
  EXPECT_EQ(topology->message, "the GCS has not answered for 9 s");
  EXPECT_EQ(topology->num_slow_edges(), 1);
  const auto payload = nlohmann::json::parse(document)["data"]["result"];
  EXPECT_EQ(nlohmann::json(TopologyToJson(*topology)), payload);
  EXPECT_EQ(payload["num_slow_edges"], 1);
  const auto edges = EdgesBetween(kC, kA, view, Settings(), kNow, {}, FindSlowMarks(view, Settings(), kNow, {}).get());
  ASSERT_EQ(edges.size(), 1u);
  ASSERT_TRUE(edges[0].slow) << "as every reader has it";
  EXPECT_NEAR(*edges[0].slow->bw_times, 9.42, 0.01);
  // A head of an earlier release has no marks: the reader makes them.
  auto earlier = nlohmann::json::parse(document);
  auto& result = earlier["data"]["result"];
  result.erase("num_slow_edges");
  for (auto& each : result["edges"]) each.erase("slow");
  const auto marked = ParseTopologyDocument(earlier.dump());
  ASSERT_TRUE(marked.ok()) << marked.status();
  EXPECT_EQ(marked->num_slow_edges(), 1);
  for (const char* bad : {"", "[]", "{}", R"({"data":7})", R"({"data":{"result":{"schema_version":1,"nodes":[]}}})",
                          R"({"data":{"result":{"schema_version":2,"nodes":[],"edges":[]}}})",
                          R"({"data":{"result":{"schema_version":1,"nodes":[],"edges":[{"src_node_id":"x"}]}}})"})
    EXPECT_FALSE(ParseTopologyDocument(bad).ok()) << bad;
}

// Writing a value takes a stack frame a level.
TEST(TopologyDocument, NestedWithoutEndIsRefused) {
  const std::string deep = std::string(1 << 20, '[') + std::string(1 << 20, ']');
  const std::string document = R"({"data":{"result":{"schema_version":1,"edges":[],"nodes":[{"node_id":")" + kA +
                               R"(","door":)" + deep + "}]}}}";
  EXPECT_TRUE(absl::IsInvalidArgument(ParseTopologyDocument(document).status()));
}

}  // namespace
}  // namespace netsense
