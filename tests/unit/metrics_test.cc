// The page for Prometheus: what is on it, and that hostile names stay values.
#include "raylet_bridge/serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raylet_bridge/serve/metric_page.h"

namespace netsense {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kA(56, 'a'), kB(56, 'b'), kC(56, 'c');
constexpr int64_t kNow = 1'700'000'000'000;

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() {
    state.node_id = kA;
    state.settings.enabled = true;
    auto view = std::make_shared<ClusterView>();
    for (const std::string& id : {kA, kB, kC})
      view->nodes.push_back({id, "10.0.0." + id.substr(0, 1), "n", true, id == kA, 0});
    state.view = view;
    state.gcs_heard = now - std::chrono::milliseconds(1500);
    plan.set_self_node_id(kA);
    info.set_software_version("9.9");
    for (uint64_t bound : {1000, 2000, 5000}) info.add_histogram_bounds_ns(bound);
    whole.mutable_counters()->set_door_accepted(12);
    AddPath(kB, 8000, 0.8);
    AddPath(kC, 2000, 0.2);
    v1::PathTotals& totals = *whole.add_totals();
    totals.set_transport("tcp");
    totals.set_fabric(v1::FABRIC_KIND_ETHERNET);
    Fill(totals.mutable_rtt());
    totals.set_pings_sent(40);
    totals.set_pings_lost(3);
  }

  static void Fill(v1::CumulativeHistogram* histogram) {
    for (uint64_t bucket : {1, 0, 4, 2}) histogram->add_buckets(bucket);
    histogram->set_count(7);
    histogram->set_sum_ns(70'500);
  }

  v1::PathResult& AddPath(const std::string& dst, double mbps, double share) {
    v1::PlannedPath* path = plan.add_paths();
    path->set_path_id(dst + "/tcp");
    path->set_transport("tcp");
    path->set_dst_node_id(dst);
    v1::PathResult& result = results[path->path_id()];
    result.set_state(v1::PATH_STATE_OK);
    result.set_fabric(v1::FABRIC_KIND_ETHERNET);
    result.mutable_rtt()->set_samples(5);
    result.mutable_rtt()->set_p50(70'000);
    result.set_bandwidth_state(v1::BANDWIDTH_STATE_MEASURED);
    result.set_bandwidth_life_ms(60'000);
    result.mutable_bandwidth()->set_samples(3);
    result.mutable_bandwidth()->set_p50(mbps * 1e6);
    result.mutable_bandwidth()->set_age_ms(4000);
    result.mutable_expected_bandwidth()->set_bps(mbps * 1e6 / share);
    result.set_last_ok_age_ms(dst == kC ? 2500 : 100);
    Fill(result.mutable_rtt_histogram());
    return result;
  }

  std::string Page(bool cluster = false) {
    state.engine = Engine();
    return MetricsText(state, cluster, kNow, now);
  }
  EngineDriver::State Engine() const {
    PathReadings readings;
    for (const v1::PlannedPath& path : plan.paths())
      readings.push_back(std::make_shared<const PathReading>(PathReading{results.at(path.path_id()), now}));
    return {.plan = std::make_shared<const v1::Plan>(plan),
            .readings = std::make_shared<const PathReadings>(std::move(readings)),
            .info = std::make_shared<const v1::EngineInfo>(info),
            .heard_age_ms = 250,
            .whole = std::make_shared<const v1::Snapshot>(whole)};
  }
  // The value behind a series; nothing = it is not there.
  std::optional<double> Value(const std::string& page, const std::string& series) {
    const std::string start = "\nray_network_sense_" + series + " ";
    const size_t at = ("\n" + page).find(start);
    if (at == std::string::npos) return std::nullopt;
    return std::stod(("\n" + page).substr(at + start.size()));
  }

  MonotonicTime now = MonotonicNow();
  v1::Plan plan;
  std::map<std::string, v1::PathResult> results;  // by path id
  v1::EngineInfo info;
  v1::Snapshot whole;
  BridgeState state;
};

const std::string kLayer = R"(transport="tcp",fabric="ethernet",rail="")";

TEST_F(MetricsTest, HistogramsAreCumulativeAndInSeconds) {
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("# TYPE ray_network_sense_rtt_seconds histogram\n"));
  EXPECT_EQ(Value(page, "rtt_seconds_bucket{" + kLayer + R"(,le="1e-06"})"), 1);
  EXPECT_EQ(Value(page, "rtt_seconds_bucket{" + kLayer + R"(,le="2e-06"})"), 1);
  EXPECT_EQ(Value(page, "rtt_seconds_bucket{" + kLayer + R"(,le="5e-06"})"), 5);
  EXPECT_EQ(Value(page, "rtt_seconds_bucket{" + kLayer + R"(,le="+Inf"})"), 7);
  EXPECT_EQ(Value(page, "rtt_seconds_count{" + kLayer + "}"), 7);
  EXPECT_DOUBLE_EQ(*Value(page, "rtt_seconds_sum{" + kLayer + "}"), 70.5e-6);
}

TEST_F(MetricsTest, CountersAreTheEngines) {
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("# TYPE ray_network_sense_pings_total counter\n"));
  EXPECT_EQ(Value(page, "pings_total{" + kLayer + "}"), 40);
  EXPECT_EQ(Value(page, "pings_lost_total{" + kLayer + "}"), 3);
  EXPECT_EQ(Value(page, "door_accepted_total"), 12);
}

TEST_F(MetricsTest, AgesAreOfWhoWasHeard) {
  state.published.last_written = now - std::chrono::milliseconds(700);
  const std::string page = Page();
  EXPECT_DOUBLE_EQ(*Value(page, "engine_heard_age_seconds"), 0.25);
  EXPECT_DOUBLE_EQ(*Value(page, "gcs_heard_age_seconds"), 1.5);
  EXPECT_DOUBLE_EQ(*Value(page, "report_age_seconds"), 0.7);
}

TEST_F(MetricsTest, EdgesByStateShowTheZerosToo) {
  results[kC + "/tcp"].set_state(v1::PATH_STATE_UNREACHABLE);
  const std::string page = Page();
  EXPECT_EQ(Value(page, "edges{" + kLayer + R"(,state="OK"})"), 1);
  EXPECT_EQ(Value(page, "edges{" + kLayer + R"(,state="UNREACHABLE"})"), 1);
  EXPECT_EQ(Value(page, "edges{" + kLayer + R"(,state="REFUSED"})"), 0);
}

TEST_F(MetricsTest, BandwidthIsInBytesOfTheSlowestAndTheMedian) {
  const std::string page = Page();
  EXPECT_DOUBLE_EQ(*Value(page, "bandwidth_worst_bytes_per_second{" + kLayer + "}"), 2000e6 / 8);
  EXPECT_DOUBLE_EQ(*Value(page, "bandwidth_median_bytes_per_second{" + kLayer + "}"), 5000e6 / 8);
  EXPECT_DOUBLE_EQ(*Value(page, "bandwidth_expected_worst_ratio{" + kLayer + "}"), 0.2);
  EXPECT_DOUBLE_EQ(*Value(page, "oldest_rtt_age_seconds{" + kLayer + "}"), 2.5);
  EXPECT_DOUBLE_EQ(*Value(page, "oldest_bandwidth_age_seconds{" + kLayer + "}"), 4);
}

TEST_F(MetricsTest, AnEdgeThatIsNotOkHasNoBandwidth) {
  results[kC + "/tcp"].set_state(v1::PATH_STATE_UNREACHABLE);
  EXPECT_DOUBLE_EQ(*Value(Page(), "bandwidth_worst_bytes_per_second{" + kLayer + "}"), 8000e6 / 8);
}

TEST_F(MetricsTest, PathsBetweenRailsAreALayerOfTheirOwn) {
  whole.add_totals()->CopyFrom(whole.totals(0));
  whole.mutable_totals(1)->set_cross_rail(true);
  whole.add_totals()->CopyFrom(whole.totals(0));
  whole.mutable_totals(2)->set_rail(0);
  const std::string page = Page();
  for (const char* rail : {"", "0", "cross"})
    EXPECT_EQ(Value(page, std::string(R"(pings_total{transport="tcp",fabric="ethernet",rail=")") + rail + "\"}"), 40);
}

TEST_F(MetricsTest, NobodyToAskShowsNoFigures) {
  state.engine = {
      .plan = Engine().plan, .readings = std::make_shared<const PathReadings>(PathReadings(2)), .problem = "gone"};
  state.gcs_heard.reset();
  const std::string page = MetricsText(state, false, kNow, now);
  EXPECT_EQ(Value(page, "engine_up"), 0);
  EXPECT_EQ(Value(page, R"(edges{transport="tcp",fabric="unknown",rail="",state="UNKNOWN"})"), 2);
  for (const char* gone : {"rtt_seconds", "pings_total", "door_accepted", "bandwidth_worst", "engine_heard_age"})
    EXPECT_THAT(page, Not(HasSubstr(gone)));
}

TEST_F(MetricsTest, AHistogramWithOtherBucketsIsLeftOut) {
  info.clear_histogram_bounds_ns();
  EXPECT_THAT(Page(), Not(HasSubstr("sense_rtt_seconds_bucket")));
  info.add_histogram_bounds_ns(1000);
  EXPECT_THAT(Page(), Not(HasSubstr("sense_rtt_seconds_bucket")));
}

TEST_F(MetricsTest, DetailIsPerEdgeAndOnlyOnDemand) {
  EXPECT_THAT(Page(), Not(HasSubstr("_edge_")));
  EXPECT_THAT(Page(), Not(HasSubstr(kB)));
  state.settings.metrics_detail = true;
  const std::string labels = kLayer + ",dst_node=\"" + kC + R"(",dst_address="10.0.0.c",src_port="",dst_port="")";
  const std::string page = Page();
  EXPECT_EQ(Value(page, "edge_state{" + labels + R"(,state="OK"})"), 1);
  EXPECT_DOUBLE_EQ(*Value(page, "edge_bandwidth_bytes_per_second{" + labels + "}"), 2000e6 / 8);
  EXPECT_EQ(Value(page, "edge_rtt_seconds_count{" + labels + "}"), 7);
}

TEST_F(MetricsTest, OnlyTheHeadTellsOfTheCluster) {
  EXPECT_THAT(Page(), Not(HasSubstr("cluster_")));
  const std::string page = Page(true);
  EXPECT_EQ(Value(page, "cluster_nodes"), 3);
  EXPECT_EQ(Value(page, "cluster_reporting_nodes"), 0);
  EXPECT_EQ(Value(page, R"(cluster_edges{transport="",fabric="",rail="",state="UNKNOWN"})"), 6);
}

// A report of each node, of its edges to all others, as a node writes it.
std::shared_ptr<ClusterView> AllReport(const std::vector<ClusterNode>& nodes, v1::PathState state) {
  auto view = std::make_shared<ClusterView>();
  view->nodes = nodes;
  for (const ClusterNode& src : nodes) {
    Report report;
    report.node_id = src.node_id;
    report.ts_ms = kNow;
    for (const ClusterNode& dst : nodes) {
      if (dst.node_id == src.node_id) continue;
      ReportEdge& edge = report.edges.emplace_back();
      edge.dst_node_id = dst.node_id;
      edge.state = state;
    }
    view->reports.emplace(src.node_id, report);
    DoorRecord door;
    door.node_id = src.node_id;
    view->doors.emplace(src.node_id, door);
  }
  return view;
}

TEST_F(MetricsTest, ANodeIsReachableOrNotWhereSomebodyCanTell) {
  const std::string node = "cluster_node_reachable{node=\"" + kA + R"(",node_address="10.0.0.a",node_hostname="n"})";
  state.view = AllReport(state.view->nodes, v1::PATH_STATE_OK);
  EXPECT_EQ(Value(Page(true), node), 1);
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 3);
  state.view = AllReport(state.view->nodes, v1::PATH_STATE_UNREACHABLE);
  EXPECT_EQ(Value(Page(true), node), 0);
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 0);
}

TEST_F(MetricsTest, ALostNodeIsNotReachable) {
  auto view = std::make_shared<ClusterView>(*AllReport(state.view->nodes, v1::PATH_STATE_OK));
  EXPECT_EQ(Value(Page(true), "cluster_lost_nodes"), 0);
  const std::string id(56, 'd');
  view->lost.push_back(
      {{.node_id = id, .address = "10.0.0.d", .hostname = "d"}, "", kNow, now - std::chrono::seconds(90)});
  state.view = view;
  const std::string labels = "{node=\"" + id + R"(",node_address="10.0.0.d",node_hostname="d"})";
  EXPECT_EQ(Value(Page(true), "cluster_lost_nodes"), 1);
  EXPECT_EQ(Value(Page(true), "cluster_node_reachable" + labels), 0);
  EXPECT_EQ(Value(Page(true), "cluster_node_lost_age_seconds" + labels), 90);
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 3);
}

TEST_F(MetricsTest, AGcsThatNeverAnsweredIsSilentSinceTheBridgeBegan) {
  state.gcs_heard.reset();
  state.started = now - std::chrono::seconds(40);
  EXPECT_EQ(Value(Page(false), "gcs_heard_age_seconds"), 40);
  state.gcs_heard = now - std::chrono::seconds(2);
  EXPECT_EQ(Value(Page(false), "gcs_heard_age_seconds"), 2);
}

// One dead node of three: each of the others has an edge to it that is down.
TEST_F(MetricsTest, EdgesToANodeThatNobodyReachesAreThatNodesFault) {
  const std::string down = R"(cluster_edges_down{transport="",fabric="",rail=""})";
  auto view = AllReport(state.view->nodes, v1::PATH_STATE_OK);
  state.view = view;
  EXPECT_EQ(Value(Page(true), down), 0);
  for (const std::string& from : {kA, kB})
    for (ReportEdge& edge : view->reports.at(from)->edges)
      if (edge.dst_node_id == kC) edge.state = v1::PATH_STATE_UNREACHABLE;
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 2);
  EXPECT_EQ(Value(Page(true), down), 0);
  // One link of two good nodes.
  for (ReportEdge& edge : view->reports.at(kA)->edges) edge.state = v1::PATH_STATE_OK;
  view->reports.at(kB)->edges[0].state = v1::PATH_STATE_REFUSED;
  for (ReportEdge& edge : view->reports.at(kB)->edges)
    if (edge.dst_node_id == kC) edge.state = v1::PATH_STATE_OK;
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 3);
  EXPECT_EQ(Value(Page(true), down), 1);
}

TEST_F(MetricsTest, BandwidthThatIsNotKnownIsCounted) {
  auto count = [&](const std::string& of) {
    return Value(Page(false), "bandwidth_edges{" + kLayer + ",state=\"" + of + "\"}");
  };
  for (auto& [id, result] : results) result.set_bandwidth_probes(1);
  EXPECT_EQ(count("NOT_KNOWN"), 0);
  EXPECT_EQ(count("MEASURED"), 2);
  v1::PathResult& first = results.begin()->second;
  first.clear_bandwidth();
  first.set_bandwidth_state(v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(count("NOT_KNOWN"), 1);
  first.set_bandwidth_probes(0);
  EXPECT_EQ(count("NOT_KNOWN"), 0) << "its turn has not come yet: a round may take hours";
  first.set_bandwidth_busy(1);
  EXPECT_EQ(count("NOT_KNOWN"), 1) << "it came, and the port was taken";
  first.set_state(v1::PATH_STATE_DEGRADED);
  EXPECT_EQ(count("NOT_KNOWN"), 0) << "that is another alert's";
  first.set_bandwidth_state(v1::BANDWIDTH_STATE_FAILED);
  EXPECT_EQ(count("FAILED"), 1);
  first.set_state(v1::PATH_STATE_OK);
  for (auto& [id, result] : results) result.set_bandwidth_life_ms(0);
  EXPECT_EQ(count("NOT_KNOWN"), std::nullopt) << "bandwidth is off";
  EXPECT_DOUBLE_EQ(*Value(Page(false), "rtt_worst_seconds{" + kLayer + "}"), 70e-6);
  EXPECT_DOUBLE_EQ(*Value(Page(false), "rtt_median_seconds{" + kLayer + "}"), 70e-6);
}

// Of a later release.
TEST_F(MetricsTest, AnEngineWhoseStatesWeDoNotKnowCountsAsNotKnown) {
  for (auto& [id, result] : results) {
    result.set_bandwidth_probes(1);
    result.set_bandwidth_state(static_cast<v1::BandwidthState>(1 << 20));
  }
  EXPECT_EQ(Value(Page(false), "bandwidth_edges{" + kLayer + ",state=\"NOT_KNOWN\"}"), 2);
  for (auto& [id, result] : results) result.set_state(static_cast<v1::PathState>(1 << 20));
  EXPECT_EQ(Value(Page(false), "edges{" + kLayer + ",state=\"UNKNOWN\"}"), 2);
}

TEST_F(MetricsTest, WhereNobodyCanTellNoNodeIsCalledUnreachable) {
  // Nobody has reported.
  EXPECT_THAT(Page(true), Not(HasSubstr("reachable")));
  // Probing is disabled: reports without an edge, or with edges that are not known.
  state.settings.enabled = false;
  auto view = AllReport(state.view->nodes, v1::PATH_STATE_UNKNOWN);
  state.view = view;
  EXPECT_EQ(Value(Page(true), "cluster_reporting_nodes"), 3);
  EXPECT_THAT(Page(true), Not(HasSubstr("reachable")));
  for (auto& [id, report] : view->reports) report->edges.clear();
  EXPECT_THAT(Page(true), Not(HasSubstr("reachable")));
  // The GCS was away: all were good, and are old.
  state.settings.enabled = true;
  state.view = AllReport(state.view->nodes, v1::PATH_STATE_OK);
  const std::string late = MetricsText(state, true, kNow + 3'600'000, now);
  EXPECT_EQ(Value(late, "cluster_nodes"), 3);
  EXPECT_EQ(Value(late, "cluster_reporting_nodes"), 0);
  EXPECT_THAT(late, Not(HasSubstr("reachable")));
}

TEST_F(MetricsTest, ANodeAloneIsReachableWhileItReports) {
  state.view = AllReport({state.view->nodes[0]}, v1::PATH_STATE_OK);
  EXPECT_EQ(Value(Page(true), "cluster_reachable_nodes"), 1);
}

TEST_F(MetricsTest, AHostileNameStaysOneValue) {
  state.view = AllReport({{kA, "10.0.0.1", "a\"} 1\nup{x=\"\\", true, true, 0}}, v1::PATH_STATE_OK);
  EXPECT_THAT(Page(true), HasSubstr(R"(node_hostname="a\"} 1\nup{x=\"\\"} 1)"));
}

TEST_F(MetricsTest, AReportCannotAddLayersWithoutEnd) {
  auto view = std::make_shared<ClusterView>(*state.view);
  Report report{.node_id = kB, .ts_ms = kNow, .version = "", .reason = "", .edges = {}};
  for (int i = 0; i < 2000; ++i) {
    ReportEdge& edge = report.edges.emplace_back();
    edge.dst_node_id = kC;
    edge.transport = "t" + std::to_string(i);
  }
  view->reports.emplace(kB, report);
  state.view = view;
  const std::string page = Page(true);
  EXPECT_LT(page.size(), 1'000'000u);
  EXPECT_GT(*Value(page, R"(cluster_edges{transport="other",fabric="other",rail="",state="UNKNOWN"})"), 1000);
}

}  // namespace
}  // namespace netsense
