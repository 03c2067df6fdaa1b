#include "raylet_bridge/cli/status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_format.h"

namespace netsense {
namespace {

std::string NodeId(int i) { return absl::StrFormat("%08x%048x", i + 1, 0); }

// All pairs of n nodes: 71.2 us and 9.42 Gb/s.
Topology GoodTopology(int n) {
  Topology topology;
  for (int i = 0; i < n; ++i) {
    TopologyNode node;
    node.node = {NodeId(i), absl::StrFormat("10.0.0.%d", i + 1), absl::StrFormat("node%d", i + 1), true, i == 0, 0};
    node.report_ts_ms = 1;
    node.report_age_ms = 312;
    node.state = v1::PATH_STATE_OK;
    node.reachable = true;
    topology.nodes.push_back(node);
    for (int j = 0; j < n; ++j) {
      if (j == i) continue;
      TopologyEdge edge;
      edge.src_node_id = NodeId(i);
      edge.age_ms = 312;
      edge.edge.dst_node_id = NodeId(j);
      edge.edge.state = v1::PATH_STATE_OK;
      edge.edge.rtt_ms = edge.edge.rtt_p50_ms = 0.0712;
      edge.edge.bw_state = v1::BANDWIDTH_STATE_MEASURED;
      edge.edge.bw_mbps = edge.edge.bw_p50_mbps = 9420.1;
      edge.edge.bw_probes = 1;
      topology.edges.push_back(edge);
    }
  }
  return topology;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Status, UnitsOfTheMatrices) {
  std::string text = RenderStatus(GoodTopology(3), {});
  EXPECT_TRUE(Has(text, "3/3 reachable, 6 of 6 edges OK")) << text;
  EXPECT_TRUE(Has(text, "in µs")) << text;
  EXPECT_TRUE(Has(text, " 71.2")) << text;
  EXPECT_TRUE(Has(text, "in Gb/s")) << text;
  EXPECT_TRUE(Has(text, " 9.420")) << text;
  EXPECT_TRUE(Has(text, "node1")) << text;
  EXPECT_TRUE(Has(text, "report 312 ms old")) << text;
  EXPECT_FALSE(Has(text, "Bad edges")) << text;
  EXPECT_FALSE(Has(text, "\x1b")) << "colour was not asked for";
  EXPECT_EQ(StatusExitCode(GoodTopology(3)), 0);
}

TEST(Status, ABandwidthThatIsNotKnownIsCountedAndSaidWhy) {
  Topology topology = GoodTopology(3);
  for (size_t i : {0u, 1u}) {
    ReportEdge& edge = topology.edges[i].edge;
    edge.bw_life_ms = 18'000;
    edge.bw_state = v1::BANDWIDTH_STATE_NOT_KNOWN;
    edge.bw_reason = "the last figure is 40 s old; since then: port eth0 is in another bandwidth probe";
    edge.bw_mbps = edge.bw_p50_mbps = std::nullopt;
  }
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "6 of 6 edges OK, bandwidth of 2 not known\n")) << text;
  EXPECT_TRUE(Has(text, "and 1 more: the last figure is 40 s old; since then: port eth0 is in another")) << text;
  EXPECT_FALSE(Has(RenderStatus(GoodTopology(3), {}), "not known"));
}

TEST(Status, LongRoundTripsAreInMilliseconds) {
  Topology topology = GoodTopology(2);
  for (TopologyEdge& edge : topology.edges) edge.edge.rtt_p50_ms = 12.3456;
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "in ms") && Has(text, " 12.346")) << text;
}

TEST(Status, SlowEdgesAreCountedAndListedFirstAndNoSuccess) {
  Topology topology = GoodTopology(3);
  EXPECT_FALSE(Has(RenderStatus(topology, {}), "*"));
  topology.edges[1].slow = {2.5, {}, "bandwidth below 50 % of the median of its class, 9.42 Gb/s"};
  topology.edges[1].edge.bw_p50_mbps = 3768;
  topology.edges[0].slow = {94.2, 70.2, "bandwidth below 50 % of ...; round trip over ..."};
  topology.edges[0].edge.bw_p50_mbps = 100;
  topology.edges[0].edge.rtt_p50_ms = 5;
  const std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "3/3 reachable, 6 of 6 edges OK, 2 of them slow\n")) << text;
  EXPECT_TRUE(Has(text, "0.100*") && Has(text, "5000.0*") && Has(text, "3.768*") && !Has(text, "71.2*")) << text;
  const size_t worst = text.find("node1 -> node2  slow  0.100 Gb/s, 94 times less; 5000.0 µs, 70 times longer: ");
  const size_t next = text.find("node1 -> node3  slow  3.768 Gb/s, 2.5 times less: bandwidth below 50 % of the median");
  EXPECT_TRUE(worst < next && next < text.find("Round-trip time")) << text;
  EXPECT_EQ(StatusExitCode(topology), 1);
  EXPECT_EQ(StatusExitCode(topology, {.allow_slow = true}), 0);
}

TEST(Status, OfManySlowEdgesTheSlowestAreListed) {
  Topology topology = GoodTopology(20);
  for (size_t i = 0; i < 38; ++i) topology.edges[i].slow = {2.0 + static_cast<double>(i), {}, "bandwidth"};
  EXPECT_TRUE(Has(RenderStatus(topology, {}), "39 times less")) << "the slowest";
  EXPECT_TRUE(Has(RenderStatus(topology, {}), "and 22 more: --all shows them"));
  EXPECT_FALSE(Has(RenderStatus(topology, {.all = true}), "more: --all"));
}

TEST(Status, BadEdgesHaveStateAgeAndReason) {
  Topology topology = GoodTopology(2);
  ReportEdge& edge = topology.edges[0].edge;
  edge.state = v1::PATH_STATE_UNREACHABLE;
  edge.reason = "connection refused\x1b[2J";
  edge.state_age_ms = 12'300;
  edge.last_ok_age_ms = 312;
  ClearFigures(edge);
  topology.nodes[1].reachable = false;
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "1/2 reachable, 1 of 2 edges OK")) << text;
  EXPECT_TRUE(Has(text, "UNREACH")) << text;
  EXPECT_TRUE(
      Has(text, "node1 -> node2  UNREACHABLE for 12.3 s, last OK 312 ms ago, report 312 ms old: connection refused"))
      << text;
  EXPECT_FALSE(Has(text, "\x1b")) << "what other hosts wrote is escaped";
  EXPECT_EQ(StatusExitCode(topology), 1);
}

TEST(Status, RailsHaveMatricesOfTheirOwnAndIsolatedOnesAreNoFault) {
  Topology topology = GoodTopology(2);
  std::vector<TopologyEdge> edges;
  for (TopologyEdge edge : topology.edges) {
    edge.edge.transport = "tcp";
    for (int rail = 0; rail < 2; ++rail) {
      edge.edge.rail = rail;
      edge.edge.rtt_p50_ms = rail == 0 ? 0.0111 : 0.0222;
      edges.push_back(edge);
    }
    edge.edge.rail.reset();
    edge.edge.cross_rail = true;
    edge.edge.state = v1::PATH_STATE_ISOLATED;
    edge.edge.rtt_p50_ms.reset();
    edges.push_back(edge);
  }
  topology.edges = edges;
  topology.warnings = {"node2 has 1 rails, most nodes have 2"};
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "4 of 6 edges OK, 2 between rails that do not reach each other")) << text;
  EXPECT_TRUE(Has(text, "over tcp on rail 0")) << text;
  EXPECT_TRUE(Has(text, "over tcp on rail 1")) << text;
  EXPECT_TRUE(Has(text, " 22.2")) << text;
  EXPECT_FALSE(Has(text, "Bad edges")) << text;
  EXPECT_TRUE(Has(text, "Warnings\n  node2 has 1 rails")) << text;
  EXPECT_EQ(StatusExitCode(topology), 0);
  topology.edges.back().edge.state = v1::PATH_STATE_UNREACHABLE;
  topology.edges.back().edge.src_port = "mlx5_0";
  topology.edges.back().edge.dst_port = "mlx5_1";
  EXPECT_TRUE(Has(RenderStatus(topology, {}), "over tcp from mlx5_0 to mlx5_1")) << RenderStatus(topology, {});
  EXPECT_EQ(StatusExitCode(topology), 1);
}

TEST(Status, UnknownIsBad) {
  Topology topology = GoodTopology(2);
  topology.edges[0].edge = ReportEdge();
  topology.edges[0].edge.dst_node_id = NodeId(1);
  EXPECT_EQ(StatusExitCode(topology), 1);
  EXPECT_TRUE(Has(RenderStatus(topology, {}), "UNKNOWN, last OK never"));
  EXPECT_EQ(StatusExitCode(Topology()), 1) << "no nodes: nothing is known";
}

TEST(Status, ManyNodesShowOnlyWhatIsBad) {
  Topology topology = GoodTopology(17);
  topology.edges[0].edge.state = v1::PATH_STATE_STALE;
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "17/17 reachable") && Has(text, "STALE") && Has(text, "--all")) << text;
  EXPECT_FALSE(Has(text, "Round-trip time") || Has(text, "node17")) << text;
  EXPECT_TRUE(Has(RenderStatus(topology, {.all = true}), "Round-trip time"));
  EXPECT_TRUE(Has(RenderStatus(GoodTopology(16), {}), "Round-trip time"));
}

TEST(Status, Styles) {
  EXPECT_FALSE(Has(RenderStatus(GoodTopology(2), {.rtt_only = true}), "Bandwidth"));
  EXPECT_TRUE(Has(RenderStatus(GoodTopology(2), {.color = true}), "\x1b[32m2/2 reachable\x1b[0m"));
  Topology same_names = GoodTopology(2);
  same_names.nodes[1].node.hostname = "node1";
  EXPECT_TRUE(Has(RenderStatus(same_names, {}), "  10.0.0.2")) << "names that are not distinct are of no use";
  same_names.nodes[1].node.address = "10.0.0.1";
  EXPECT_TRUE(Has(RenderStatus(same_names, {}), "  00000002  10.0.0.1"));
}

TEST(Status, ALostNodeIsBadAndNamed) {
  Topology topology = GoodTopology(2);
  topology.lost.push_back(
      {{{.node_id = NodeId(7), .address = "10.0.0.8", .hostname = "node8\n"}, "no heartbeat", 5}, 303'000});
  std::string text = RenderStatus(topology, {});
  EXPECT_TRUE(Has(text, "2/2 reachable, 1 LOST, 2 of 2 edges OK\n")) << text;
  EXPECT_TRUE(Has(text, "10.0.0.8") &&
              Has(text, "LOST for 5 min 3 s: no heartbeat (gone for good: netsense-bridge forget 00000008)"))
      << text;
  EXPECT_FALSE(Has(text, "node8\n ")) << "what others wrote is escaped";
  EXPECT_EQ(StatusExitCode(topology), 1);
  auto json = nlohmann::json::parse(StatusJson(topology));
  EXPECT_EQ(json["num_lost_nodes"], 1);
  EXPECT_EQ(json["lost_nodes"][0]["lost_age_ms"], 303'000);
  EXPECT_EQ(json["lost_nodes"][0]["lost_since_ms"], 5);
  // In a cluster of many, too.
  Topology many = GoodTopology(17);
  many.lost = topology.lost;
  EXPECT_TRUE(Has(RenderStatus(many, {}), "LOST for 5 min"));
}

TEST(Status, FewerNodesThanExpectedAreBad) {
  const Topology topology = GoodTopology(2);
  EXPECT_EQ(StatusExitCode(topology, {.expected_nodes = 2}), 0);
  EXPECT_EQ(StatusExitCode(topology, {.expected_nodes = 1}), 0);
  EXPECT_EQ(StatusExitCode(topology, {.expected_nodes = 3}), 1);
  EXPECT_TRUE(Has(RenderStatus(topology, {.expected_nodes = 3}), "3 nodes are expected (--expect-nodes), and 2 alive"));
  EXPECT_FALSE(Has(RenderStatus(topology, {.expected_nodes = 2}), "expected"));
}

TEST(Status, JsonIsThePayloadAndReachable) {
  auto json = nlohmann::json::parse(StatusJson(GoodTopology(3)));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["reachable"]["n"], 3);
  EXPECT_EQ(json["reachable"]["m"], 3);
  EXPECT_EQ(json["edges"].size(), 6u);
  EXPECT_DOUBLE_EQ(json["edges"][0]["bw_p50_mbps"].get<double>(), 9420.1);
}

TEST(Status, NodesAreInTheOrderOfTheirNames) {
  Topology topology = GoodTopology(3);
  topology.nodes[0].node.hostname = "node10";
  std::string text = RenderStatus(topology, {});
  EXPECT_LT(text.find("node2"), text.find("node3")) << text;
  EXPECT_LT(text.find("node3"), text.find("node10")) << text;
}

TEST(Status, Ages) {
  EXPECT_EQ(FormatAge(0), "0 ms");
  EXPECT_EQ(FormatAge(999), "999 ms");
  EXPECT_EQ(FormatAge(12'340), "12.3 s");
  EXPECT_EQ(FormatAge(59'999), "59.9 s");
  EXPECT_EQ(FormatAge(303'000), "5 min 3 s");
  EXPECT_EQ(FormatAge(7'500'000), "2 h 5 min");
}

}  // namespace
}  // namespace netsense
