#include "raylet_bridge/records/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "proto/enum_names.h"
#include "raylet_bridge/plan/mesh_plan.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

const std::string kSelf(56, 'a'), kPeer(56, 'b');
const std::string kPath = kPeer + "/tcp";

DoorRecord PeerDoor() {
  DoorRecord door;
  door.node_id = kPeer;
  door.address = "10.0.0.2";
  door.port = 18590;
  door.incarnation = "00000000000000ff";
  door.version = "0.1.0";
  v1::Port& port = door.ports.emplace_back();
  port.set_name("eth0");
  port.set_netdev("eth0");
  port.set_fabric(v1::FABRIC_KIND_ETHERNET);
  port.set_speed_bps(10'000'000'000);
  port.set_mtu(1500);
  port.add_addresses("10.0.0.2");
  door.transports = {"tcp"};
  door.ts_ms = 5;
  return door;
}

v1::Plan OnePathPlan() {
  v1::Plan plan;
  plan.set_self_node_id(kSelf);
  plan.set_rtt_window(5);
  plan.set_bandwidth_window(3);
  v1::PlannedPath* path = plan.add_paths();
  path->set_path_id(kPath);
  path->set_transport("tcp");
  path->set_dst_node_id(kPeer);
  return plan;
}

// 70 us and 9.42 Gb/s.
v1::PathResult GoodResult() {
  v1::PathResult result;
  result.set_path_id(kPath);
  result.set_state(v1::PATH_STATE_OK);
  result.set_state_age_ms(1000);
  result.set_last_ok_age_ms(312);
  result.mutable_rtt()->set_samples(5);
  result.mutable_rtt()->set_ewma(71'000);
  result.mutable_rtt()->set_p50(70'000);
  result.mutable_rtt()->set_jitter(12'000);
  result.mutable_rtt()->set_age_ms(312);
  result.mutable_network_rtt()->set_samples(5);
  result.mutable_network_rtt()->set_ewma(66'000);
  result.mutable_network_rtt()->set_p50(65'000);
  result.set_bandwidth_state(v1::BANDWIDTH_STATE_MEASURED);
  result.set_bandwidth_life_ms(18'000);
  result.mutable_bandwidth()->set_samples(3);
  result.mutable_bandwidth()->set_ewma(9'412'300'000);
  result.mutable_bandwidth()->set_p50(9'420'100'000);
  result.mutable_bandwidth()->set_best(9'423'700'000);
  result.mutable_bandwidth()->set_age_ms(4100);
  result.mutable_rtt_distribution()->set_count(900);
  result.mutable_rtt_distribution()->set_p999_ns(2'500'000);
  result.mutable_rtt_distribution()->set_span_ms(600'000);
  result.set_timestamp_source(v1::TIMESTAMP_SOURCE_USER);
  result.set_pings_sent(905);
  result.set_pings_lost(5);
  result.set_source_port("eth0");
  result.set_fabric(v1::FABRIC_KIND_ETHERNET);
  return result;
}

const MonotonicTime kThen = MonotonicTime() + std::chrono::hours(1);

// When `passed` has passed since the engine said it.
Report ReportOf(const v1::PathResult& result, const std::string& problem = "",
                std::chrono::milliseconds passed = std::chrono::milliseconds(0)) {
  Settings settings;
  settings.enabled = true;
  return MakeReport(OnePathPlan(), {std::make_shared<const PathReading>(PathReading{result, kThen})}, problem,
                    {{kPeer, PeerDoor()}}, settings, 1'700'000'000'000, kThen + passed);
}

TEST(Report, UnitsAreMillisecondsOfTheFullRoundTripAndDecimalMegabits) {
  Json edge = Json::parse(ReportToJson(ReportOf(GoodResult())))["edges"][0];
  EXPECT_DOUBLE_EQ(edge["rtt_ms"].get<double>(), 0.071);
  EXPECT_DOUBLE_EQ(edge["rtt_p50_ms"].get<double>(), 0.070);
  EXPECT_DOUBLE_EQ(edge["jitter_ms"].get<double>(), 0.012);
  EXPECT_DOUBLE_EQ(edge["bw_mbps"].get<double>(), 9412.3);
  EXPECT_DOUBLE_EQ(edge["bw_p50_mbps"].get<double>(), 9420.1);
  EXPECT_DOUBLE_EQ(edge["bw_best_mbps"].get<double>(), 9423.7);
  EXPECT_DOUBLE_EQ(edge["network_rtt_p50_ms"].get<double>(), 0.065);
  EXPECT_DOUBLE_EQ(edge["rtt_distribution_ms"]["p99_9"].get<double>(), 2.5);
  EXPECT_EQ(edge["rtt_distribution_ms"]["span_ms"], 600'000);
  EXPECT_EQ(edge["rtt_age_ms"], 312);
  EXPECT_EQ(edge["bw_age_ms"], 4100);
  EXPECT_EQ(edge["state"], "OK");
  EXPECT_EQ(edge["fabric"], "ethernet");
  EXPECT_EQ(edge["src_port"], "eth0");
  EXPECT_EQ(edge["dst_port"], "eth0");
  EXPECT_EQ(edge["rtt_window"], 5);
  EXPECT_EQ(edge["timestamp_source"], "user");
  EXPECT_EQ(edge["pings_lost"], 5);
}

TEST(Report, AgesAreAsOfNow) {
  const v1::PathResult result = GoodResult();
  const ReportEdge edge = ReportOf(result, "", std::chrono::milliseconds(500)).edges[0];
  EXPECT_EQ(edge.rtt_age_ms, 812);
  EXPECT_EQ(edge.bw_age_ms, 4600);
  EXPECT_EQ(edge.state_age_ms, 1500);
  EXPECT_EQ(edge.last_ok_age_ms, 812);
  const ReportEdge old = ReportOf(result, "", std::chrono::milliseconds(6000)).edges[0];
  EXPECT_EQ(old.state, v1::PATH_STATE_STALE);
  EXPECT_EQ(old.reason, "the newest round trip is 6312 ms old");
  v1::PathResult never = result;
  never.set_last_ok_age_ms(-1);
  EXPECT_FALSE(ReportOf(never, "", std::chrono::milliseconds(500)).edges[0].last_ok_age_ms) << "never stays never";
}

TEST(Report, SurvivesTheWayThereAndBack) {
  Report report = ReportOf(GoodResult());
  std::string text = ReportToJson(report);
  auto parsed = ParseReport(text, kSelf);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(ReportToJson(*parsed), text);
}

// With the probes switched off the last figure once stood for ever, on an edge that was OK.
TEST(Report, ABandwidthHasALife) {
  v1::PathResult result = GoodResult();
  EXPECT_EQ(Json::parse(ReportToJson(ReportOf(result)))["edges"][0]["bw_state"], "MEASURED");
  result.mutable_bandwidth()->set_age_ms(18'001);
  Json edge = Json::parse(ReportToJson(ReportOf(result)))["edges"][0];
  EXPECT_EQ(edge["state"], "OK") << "its round trips are as good as ever";
  EXPECT_EQ(edge["bw_state"], "NOT_KNOWN");
  EXPECT_EQ(edge["bw_reason"], "the last figure is 18 s old");
  EXPECT_TRUE(edge["bw_mbps"].is_null() && edge["bw_p50_mbps"].is_null() && edge["bw_percent"].is_null());
  EXPECT_FALSE(edge["rtt_p50_ms"].is_null());
}

TEST(Report, ABandwidthDiesOnItsWayToTheReader) {
  ReportEdge edge = ReportOf(GoodResult()).edges[0];
  EXPECT_TRUE(BandwidthCounts(edge, 13'900));
  EXPECT_FALSE(BandwidthCounts(edge, 13'901));
  AddToAges(edge, 13'901);
  EXPECT_FALSE(edge.bw_p50_mbps.has_value());
  EXPECT_EQ(edge.bw_state, v1::BANDWIDTH_STATE_NOT_KNOWN);
}

TEST(Report, EveryAgeGrowsWithTime) {
  const ReportEdge before = ReportOf(GoodResult()).edges[0];
  ReportEdge edge = before;
  AddToAges(edge, 100);
  for (auto age :
       {&ReportEdge::rtt_age_ms, &ReportEdge::bw_age_ms, &ReportEdge::state_age_ms, &ReportEdge::last_ok_age_ms})
    EXPECT_EQ(edge.*age, *(before.*age) + 100);
  EXPECT_EQ(edge.bw_life_ms, before.bw_life_ms) << "which is no age";
}

TEST(Report, ANodeThatToldNoLifeIsNotBelieved) {
  Json report = Json::parse(ReportToJson(ReportOf(GoodResult())));
  report["edges"][0].erase("bw_life_ms");
  auto parsed = ParseReport(report.dump(), kSelf);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_FALSE(parsed->edges[0].bw_p50_mbps.has_value());
}

TEST(Report, OnlyOkCarriesFigures) {
  for (v1::PathState state : {v1::PATH_STATE_UNREACHABLE, v1::PATH_STATE_DEGRADED, v1::PATH_STATE_STALE}) {
    v1::PathResult result = GoodResult();
    result.set_state(state);
    result.set_reason("connection refused");
    Json edge = Json::parse(ReportToJson(ReportOf(result)))["edges"][0];
    for (const char* figure : {"rtt_ms", "rtt_p50_ms", "jitter_ms", "bw_mbps", "bw_p50_mbps", "bw_best_mbps",
                               "network_rtt_ms", "rtt_distribution_ms"})
      EXPECT_TRUE(edge[figure].is_null()) << figure;
    EXPECT_EQ(edge["state"], PathStateName(state));
    EXPECT_EQ(edge["reason"], "connection refused");
    EXPECT_EQ(edge["last_ok_age_ms"], 312);
  }
}

TEST(Report, OldRoundTripIsStale) {
  v1::PathResult result = GoodResult();
  result.mutable_rtt()->set_age_ms(6001);
  ReportEdge edge = ReportOf(result).edges[0];
  EXPECT_EQ(edge.state, v1::PATH_STATE_STALE);
  EXPECT_FALSE(edge.rtt_p50_ms);
}

TEST(Report, SilentEngineAndSilentPathAreUnknown) {
  const Report without_engine = ReportOf(GoodResult(), "the engine of this node ended");
  EXPECT_EQ(without_engine.reason, "the engine of this node ended") << "a node without peers has no edge to say it";
  ReportEdge lost = without_engine.edges[0];
  EXPECT_EQ(lost.state, v1::PATH_STATE_UNKNOWN);
  EXPECT_EQ(lost.reason, "the engine of this node ended");
  EXPECT_FALSE(lost.rtt_ms);
  Settings settings;
  settings.enabled = true;
  ReportEdge silent = MakeReport(OnePathPlan(), {nullptr}, "", {}, settings, 1, kThen).edges[0];
  EXPECT_EQ(silent.state, v1::PATH_STATE_UNKNOWN);
  EXPECT_EQ(silent.reason, "not measured yet");
}

// Added to, they would go round and be young.
TEST(Report, NoAgeThatAnEngineSaysIsBeyondReason) {
  v1::PathResult result = GoodResult();
  for (auto* figure : {result.mutable_rtt(), result.mutable_bandwidth()})
    figure->set_age_ms(std::numeric_limits<int64_t>::max());
  result.set_state_age_ms(std::numeric_limits<int64_t>::min());
  result.set_last_ok_age_ms(std::numeric_limits<int64_t>::max());
  const ReportEdge edge = ReportOf(result, "", std::chrono::milliseconds(1000)).edges[0];
  EXPECT_EQ(edge.state, v1::PATH_STATE_STALE);
  EXPECT_FALSE(edge.rtt_p50_ms || edge.bw_p50_mbps);
  EXPECT_GT(*edge.rtt_age_ms, int64_t{1} << 53);
  EXPECT_GT(*edge.last_ok_age_ms, int64_t{1} << 53);
  EXPECT_GE(*edge.state_age_ms, 0);
}

TEST(Report, DisabledSaysHowToTurnItOn) {
  v1::Plan plan;
  plan.set_self_node_id(kSelf);
  Report report = MakeReport(plan, PathReadings(static_cast<size_t>(plan.paths_size())), "", {}, Settings(), 1, kThen);
  EXPECT_TRUE(report.edges.empty());
  EXPECT_NE(report.reason.find("network_sense_enabled"), std::string::npos);
}

Json Parsed() { return Json::parse(ReportToJson(ReportOf(GoodResult()))); }

TEST(Report, ForeignReportIsNotBelievedBeyondItsOwnNode) {
  EXPECT_FALSE(ParseReport(Parsed().dump(), kPeer).ok()) << "it stands under another node's key";
  for (const char* text : {"", "null", "[]", "{}", "{\"schema_version\":1}", "\xff\xfe", "{\"schema_version\":1e999}"})
    EXPECT_FALSE(ParseReport(text, kSelf).ok()) << text;
  EXPECT_FALSE(ParseReport(std::string(1 << 20, '['), kSelf).ok());
  Json other = Parsed();
  other["schema_version"] = 2;
  EXPECT_FALSE(ParseReport(other.dump(), kSelf).ok());
}

TEST(Report, HostileEdges) {
  Json report = Parsed();
  const Json good = report["edges"][0];
  auto with = [&good](const char* key, Json value) {
    Json edge = good;
    edge[key] = std::move(value);
    return edge;
  };
  // Left out: no destination, itself, no such state, told twice, no object.
  report["edges"] = {good,
                     with("dst_node_id", "x"),
                     with("dst_node_id", kSelf),
                     with("dst_node_id", 7),
                     with("state", "GREAT"),
                     with("rtt_p50_ms", 0.001),
                     nullptr,
                     3};
  auto parsed = ParseReport(report.dump(), kSelf);
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->edges.size(), 1u);
  EXPECT_DOUBLE_EQ(*parsed->edges[0].rtt_p50_ms, 0.070);

  // 1e300 is no time and no rate: where it is kept as a float it would be infinite.
  for (const Json& nonsense : {Json(-1.0), Json(1e300), Json("fast"), Json(nullptr), Json::array()}) {
    report["edges"] = Json::array({with("rtt_p50_ms", nonsense)});
    parsed = ParseReport(report.dump(), kSelf);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->edges[0].state, v1::PATH_STATE_UNKNOWN) << nonsense << ": OK without a round trip is not OK";
    EXPECT_FALSE(parsed->edges[0].bw_mbps);
  }
  report["edges"] = Json::array({with("state", "UNREACHABLE")});
  EXPECT_FALSE(ParseReport(report.dump(), kSelf)->edges[0].rtt_p50_ms) << "figures of a dead edge";
  report["edges"] = Json::array({with("rtt_age_ms", UINT64_MAX)});
  EXPECT_FALSE(ParseReport(report.dump(), kSelf)->edges[0].rtt_age_ms);
  report["edges"] = Json::array({with("reason", std::string(100'000, 'x'))});
  EXPECT_LE(ParseReport(report.dump(), kSelf)->edges[0].reason.size(), 1024u);
  // A cut through a character must not leave what no message takes.
  report["edges"] = Json::array({with("reason", std::string(1023, 'x') + "\xc3\xa9")});
  EXPECT_EQ(ParseReport(report.dump(), kSelf)->edges[0].reason, std::string(1023, 'x') + "\xef\xbf\xbd");
  report["of_the_future"] = Json::parse(std::string(100, '[') + std::string(100, ']'));
  auto deep = ParseReport(report.dump(), kSelf);
  EXPECT_NE(deep.status().message().find("nested too deeply"), std::string::npos) << deep.status();
}

TEST(DoorRecord, SurvivesTheWayThereAndBack) {
  auto parsed = ParseDoorRecord(DumpJson(DoorToJson(PeerDoor())), kPeer);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(SameDoor(*parsed, PeerDoor()));
  parsed->ts_ms += 1;
  EXPECT_TRUE(SameDoor(*parsed, PeerDoor()));
  parsed->incarnation = "00000000000000fe";
  EXPECT_FALSE(SameDoor(*parsed, PeerDoor()));
  EXPECT_EQ(DoorPortName(PeerDoor()), "eth0");
}

// By them the plan knows which transports name their devices, and need RDMA.
TEST(DoorRecord, SaysWhatDecidesAboutATransportsPaths) {
  v1::EngineInfo info;
  auto add = [&](const char* name, bool available, std::vector<std::string> capabilities) {
    v1::TransportInfo* transport = info.add_transports();
    transport->set_name(name);
    transport->set_available(available);
    for (const std::string& capability : capabilities) transport->add_capabilities(capability);
  };
  info.set_door_port(18590);
  add("plain", true, {"ping", "busy_poll"});
  add("fast", true, {"ping", kByDevice, "rdma", kNeedsRdma});
  add("away", false, {kByDevice});
  const DoorRecord made = MakeDoorRecord(kPeer, "10.0.0.2", info, 5);
  const auto read = ParseDoorRecord(DumpJson(DoorToJson(made)), kPeer);
  ASSERT_TRUE(read.ok()) << read.status();
  for (const DoorRecord& door : {made, *read}) {
    EXPECT_TRUE(Has(door, "fast", kByDevice) && Has(door, "fast", kNeedsRdma));
    EXPECT_FALSE(Has(door, "plain", kByDevice) || Has(door, "plain", kNeedsRdma) || Has(door, "away", kByDevice));
    EXPECT_EQ(door.capabilities.size(), 1u) << "what others need not know takes no room";
  }
  EXPECT_TRUE(SameDoor(made, *read));
  Json old = DoorToJson(made);
  old.erase("capabilities");  // as an earlier release wrote it
  ASSERT_TRUE(ParseDoorRecord(old.dump(), kPeer).ok());
  EXPECT_FALSE(SameDoor(made, *ParseDoorRecord(old.dump(), kPeer))) << "it is written anew";
}

TEST(DoorRecord, RefusesWhatLeadsNowhere) {
  EXPECT_FALSE(ParseDoorRecord(DumpJson(DoorToJson(PeerDoor())), kSelf).ok());
  Json door = DoorToJson(PeerDoor());
  for (const Json& port : {Json(0), Json(65536), Json("18590"), Json(-1)}) {
    door["port"] = port;
    EXPECT_FALSE(ParseDoorRecord(door.dump(), kPeer).ok()) << port;
  }
  door = DoorToJson(PeerDoor());
  door.erase("address");
  EXPECT_FALSE(ParseDoorRecord(door.dump(), kPeer).ok());
  door = DoorToJson(PeerDoor());
  door["ports"][0]["name"] = "";
  EXPECT_TRUE(ParseDoorRecord(door.dump(), kPeer)->ports.empty()) << "no plan can name it";
}

}  // namespace
}  // namespace netsense
