#include "raylet_bridge/cluster/matrix_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "synthetic_cluster.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

using ::testing::HasSubstr;

const std::string kA(56, 'a'), kB(56, 'b'), kC(56, 'c');
constexpr int64_t kNow = 1'700'000'000'000;
constexpr float kAnyFigure = 0.0625f;

ReportEdge Edge(const std::string& dst, const std::string& transport = "tcp", const std::string& fabric = "ethernet",
                std::optional<int64_t> rail = std::nullopt) {
  ReportEdge edge;
  edge.dst_node_id = dst;
  edge.transport = transport;
  edge.fabric = fabric;
  edge.rail = rail;
  edge.state = v1::PATH_STATE_OK;
  edge.rtt_ms = edge.rtt_p50_ms = kAnyFigure;
  edge.bw_state = v1::BANDWIDTH_STATE_MEASURED;
  edge.bw_age_ms = 0;
  edge.bw_life_ms = 60'000;
  edge.bw_p50_mbps = 9420.125;
  edge.rtt_age_ms = 300;
  return edge;
}

ReportEdge BadEdge(const std::string& dst, v1::PathState state, const std::string& reason) {
  ReportEdge edge = Edge(dst);
  edge.state = state;
  edge.reason = reason;
  ClearFigures(edge);
  return edge;
}

DoorRecord Door(const std::string& node_id, std::vector<uint32_t> rails = {}) {
  DoorRecord door;
  door.node_id = node_id;
  door.address = "10.0.0.1";
  door.port = 1;
  for (uint32_t rail : rails) {
    v1::Port port;
    port.set_name(absl::StrCat("mlx5_", rail));
    port.set_rail(rail);
    door.ports.push_back(port);
  }
  return door;
}

struct Cluster {
  ClusterView view;

  explicit Cluster(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
      view.nodes.push_back({id, "10.0.0.1", "host", true, id == ids[0], 0});
      view.doors.emplace(id, Door(id));
    }
  }
  Cluster& Reports(const std::string& id, std::vector<ReportEdge> edges, int64_t ts_ms = kNow) {
    view.reports.erase(id);
    view.reports.emplace(id, Report{id, ts_ms, "0.1.0", 2000, 0, "", std::move(edges)});
    return *this;
  }
  Matrix Build(std::optional<size_t> only = std::nullopt) const {
    return BuildMatrix(view, Settings(), kNow, MonotonicTime(), only,
                       FindSlowMarks(view, Settings(), kNow, MonotonicTime()).get())
        .value();
  }
};

// As a reader of the document sees it.
struct Document {
  nlohmann::json header;
  std::string bytes;

  explicit Document(std::string document) : bytes(std::move(document)) {
    EXPECT_EQ(bytes.substr(0, 4), "NSM1");
    uint32_t length = 0;
    memcpy(&length, bytes.data() + 4, 4);
    header = nlohmann::json::parse(bytes.substr(8, length));
    size_t end = (8 + length + 7) / 8 * 8;
    for (size_t i = 8 + length; i < end; ++i) EXPECT_EQ(bytes[i], '\0');
    const size_t cells = header["nodes"].size() * header["nodes"].size();
    const std::map<std::string, size_t> sizes = {{"u8", 1}, {"u16", 2}, {"f32", 4}};
    for (const auto& layer : header["layers"])
      for (const auto& column : layer["columns"]) {
        EXPECT_EQ(column["offset"].get<size_t>(), end) << "columns stand one behind the other";
        EXPECT_EQ(end % 8, 0u);
        end += (cells * sizes.at(column["type"]) + 7) / 8 * 8;
      }
    EXPECT_EQ(bytes.size(), end);
  }
  template <typename T>
  T At(size_t layer, const std::string& name, size_t src, size_t dst) const {
    for (const auto& column : header["layers"][layer]["columns"])
      if (column["name"] == name) {
        T value;
        memcpy(&value, bytes.data() + column["offset"].get<size_t>() + (src * header["nodes"].size() + dst) * sizeof(T),
               sizeof(T));
        return value;
      }
    ADD_FAILURE() << "no column " << name;
    return T();
  }
  std::string State(size_t layer, size_t src, size_t dst) const {
    const auto state = At<uint8_t>(layer, "state", src, dst);
    return state == 255 ? "-" : header["states"][state].get<std::string>();
  }
  std::string Reason(size_t layer, size_t src, size_t dst) const {
    return header["reasons"][At<uint16_t>(layer, "reason", src, dst)];
  }
};

Document Read(const Cluster& cluster, std::optional<size_t> only = std::nullopt) {
  return Document(MatrixToBytes(cluster.Build(only), "a message"));
}

TEST(Matrix, FiguresStatesAndTheDiagonal) {
  Cluster cluster({kA, kB});
  cluster.Reports(kA, {Edge(kB)}).Reports(kB, {BadEdge(kA, v1::PATH_STATE_UNREACHABLE, "connection refused")});
  const Document document = Read(cluster);
  EXPECT_EQ(document.header["schema_version"], 1);
  EXPECT_EQ(document.header["generated_at_ms"], kNow);
  EXPECT_EQ(document.header["message"], "a message");
  EXPECT_EQ(document.header["nodes"][0]["node_id"], kA);
  EXPECT_EQ(document.header["nodes"][0]["is_head"], true);
  EXPECT_EQ(document.header["nodes"][1]["reachable"], true);
  ASSERT_EQ(document.header["layers"].size(), 1u);
  EXPECT_EQ(document.State(0, 0, 0), "-");
  EXPECT_EQ(document.State(0, 0, 1), "OK");
  EXPECT_EQ(document.Reason(0, 0, 1), "");
  EXPECT_EQ(document.At<float>(0, "rtt_p50_ms", 0, 1), kAnyFigure);
  EXPECT_EQ(document.At<float>(0, "bw_p50_mbps", 0, 1), 9420.125f);
  EXPECT_EQ(document.At<float>(0, "rtt_age_ms", 0, 1), 300);
  EXPECT_TRUE(std::isnan(document.At<float>(0, "jitter_ms", 0, 1))) << "not known";
  EXPECT_EQ(document.State(0, 1, 0), "UNREACHABLE");
  EXPECT_EQ(document.Reason(0, 1, 0), "connection refused");
  for (const char* figure : {"rtt_p50_ms", "network_rtt_p50_ms", "jitter_ms", "bw_p50_mbps", "bw_percent"})
    for (size_t cell : {0, 1}) EXPECT_TRUE(std::isnan(document.At<float>(0, figure, 1, cell))) << figure;
}

TEST(Matrix, AnOldReportIsStaleAndHasNoFigures) {
  Cluster cluster({kA, kB});
  cluster.Reports(kA, {Edge(kB)}, kNow - 60'000).Reports(kB, {Edge(kA)});
  const Document document = Read(cluster);
  EXPECT_EQ(document.State(0, 0, 1), "STALE");
  EXPECT_THAT(document.Reason(0, 0, 1), HasSubstr("60000 ms old"));
  EXPECT_TRUE(std::isnan(document.At<float>(0, "rtt_p50_ms", 0, 1)));
  EXPECT_EQ(document.At<float>(0, "rtt_age_ms", 0, 1), 60'300) << "ages are as of generated_at_ms";
  EXPECT_EQ(document.State(0, 1, 0), "OK");
}

TEST(Matrix, LayersByTransportFabricAndRail) {
  Cluster cluster({kA, kB});
  cluster.Reports(kA, {Edge(kB, "verbs", "infiniband", 1), Edge(kB, "grpc"), Edge(kB, "verbs", "infiniband", 0),
                       Edge(kB, "tcp", "infiniband", 0), Edge(kB)});
  ReportEdge crossed = Edge(kB, "verbs", "infiniband");
  crossed.cross_rail = true;
  cluster.Reports(kB, {Edge(kA), crossed});
  const Document document = Read(cluster);
  std::vector<std::string> names;
  for (const auto& layer : document.header["layers"])
    names.push_back(absl::StrCat(layer["transport"].get<std::string>(), " ", layer["fabric"].get<std::string>(), " ",
                                 layer["rail"].dump()));
  EXPECT_EQ(names, (std::vector<std::string>{"tcp ethernet null", "tcp infiniband 0", "grpc ethernet null",
                                             "verbs infiniband 0", "verbs infiniband 1"}))
      << "tcp first, and none of what goes between two rails";
  EXPECT_EQ(document.State(0, 1, 0), "OK");
  EXPECT_EQ(document.State(3, 0, 1), "OK");
  EXPECT_EQ(document.State(3, 1, 0), "-") << "the source reported the pair, without a path in this layer";
}

TEST(Matrix, UnreportedPairsAreUnknownInEachLayerTheyBelongTo) {
  Cluster cluster({kA, kB, kC});
  for (const std::string& id : {kA, kB}) {
    cluster.view.doors.erase(id);
    cluster.view.doors.emplace(id, Door(id, {0, 1}));
  }
  cluster.view.doors.erase(kC);
  cluster.view.doors.emplace(kC, Door(kC, {0}));
  cluster.Reports(kA, {Edge(kB), Edge(kB, "verbs", "infiniband", 0), Edge(kB, "verbs", "infiniband", 1)});
  const Document document = Read(cluster);
  ASSERT_EQ(document.header["layers"].size(), 3u);
  for (size_t layer : {0, 1}) {
    EXPECT_EQ(document.State(layer, 0, 2), "UNKNOWN");
    EXPECT_THAT(document.Reason(layer, 0, 2), HasSubstr("has not reported this pair"));
    EXPECT_EQ(document.State(layer, 1, 0), "UNKNOWN");
    EXPECT_THAT(document.Reason(layer, 1, 0), HasSubstr("source: no report"));
    EXPECT_TRUE(std::isnan(document.At<float>(layer, "rtt_p50_ms", 1, 0)));
  }
  EXPECT_EQ(document.State(2, 0, 2), "-") << "the destination has no rail 1";
  EXPECT_EQ(document.State(2, 1, 0), "UNKNOWN");
  cluster.view.doors.erase(kC);
  EXPECT_EQ(Read(cluster).State(2, 1, 2), "UNKNOWN") << "whose door is not known may have the rail";
}

TEST(Matrix, AnEdgeWithoutAFabricBelongsToTheFabricsOfItsTransport) {
  Cluster cluster({kA, kB});
  ReportEdge unmeasured = BadEdge(kA, v1::PATH_STATE_UNKNOWN, "not measured yet");
  unmeasured.fabric = "unknown";
  cluster.Reports(kA, {Edge(kB)}).Reports(kB, {unmeasured});
  const Document document = Read(cluster);
  ASSERT_EQ(document.header["layers"].size(), 1u);
  EXPECT_EQ(document.State(0, 1, 0), "UNKNOWN");
  EXPECT_EQ(document.Reason(0, 1, 0), "not measured yet");
  cluster.Reports(kA, {});
  EXPECT_EQ(Read(cluster).header["layers"][0]["fabric"], "unknown") << "it is all that there is";
}

TEST(Matrix, ALayerIsThereBeforeAnyReport) {
  const Document document = Read(Cluster({kA, kB}));
  ASSERT_EQ(document.header["layers"].size(), 1u);
  EXPECT_EQ(document.header["layers"][0]["transport"], "tcp");
  EXPECT_EQ(document.State(0, 0, 1), "UNKNOWN");
  EXPECT_EQ(Read(Cluster({})).header["nodes"].size(), 0u);
}

TEST(Matrix, OneLayerAloneIsFilledIn) {
  Cluster cluster({kA, kB});
  cluster.Reports(kA, {Edge(kB), Edge(kB, "grpc")});
  const Document document = Read(cluster, 1);
  ASSERT_EQ(document.header["layers"].size(), 2u);
  EXPECT_EQ(document.header["layers"][0]["columns"].size(), 0u);
  EXPECT_EQ(document.State(1, 0, 1), "OK");
  EXPECT_EQ(BuildMatrix(cluster.view, Settings(), kNow, MonotonicTime(), 2).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(Matrix, ReasonsStandOnceAndAreBounded) {
  std::vector<std::string> ids;
  for (int i = 0; i < 80; ++i) ids.push_back(absl::StrFormat("%056x", i));
  Cluster cluster(ids);
  for (const std::string& src : ids) {
    std::vector<ReportEdge> edges;
    for (const std::string& dst : ids)
      if (dst != src) edges.push_back(BadEdge(dst, v1::PATH_STATE_UNREACHABLE, "the same"));
    cluster.Reports(src, edges);
  }
  EXPECT_EQ(cluster.Build().reasons, (std::vector<std::string>{"", "the same"}));
  for (auto& [id, report] : cluster.view.reports)
    for (ReportEdge& edge : report->edges)
      edge.reason = absl::StrCat(id.substr(50), edge.dst_node_id.substr(50), std::string(1000, 'x'));
  const Matrix matrix = cluster.Build();
  EXPECT_EQ(matrix.reasons.size(), Matrix::kMaxReasons);
  for (const std::string& reason : matrix.reasons) EXPECT_LE(reason.size(), Matrix::kMaxReasonBytes + 4);
  EXPECT_THAT(matrix.reasons.back(), HasSubstr("more reasons"));
  EXPECT_EQ(matrix.layers[0].reason[79 * 80 + 1], matrix.reasons.size() - 1);
  EXPECT_EQ(matrix.layers[0].state[79 * 80 + 1], v1::PATH_STATE_UNREACHABLE);
}

TEST(Matrix, ANodeCannotMakeLayersWithoutEnd) {
  Cluster cluster({kA, kB});
  std::vector<ReportEdge> junk;
  for (int i = 0; i < 500; ++i) junk.push_back(Edge(kA, "tcp", absl::StrCat("fabric", i), i));
  cluster.Reports(kA, {Edge(kB), Edge(kB)}).Reports(kB, junk);
  const Matrix matrix = cluster.Build();
  EXPECT_EQ(matrix.layers.size(), Layers::kMost);
  EXPECT_EQ(matrix.layers[0].name, (Layer{"tcp", "ethernet"})) << "most edges are of it";
  ASSERT_FALSE(matrix.warnings.empty());
  EXPECT_THAT(matrix.warnings[0], HasSubstr("layers"));
}

TEST(Matrix, HostileTextIsText) {
  Cluster cluster({kA, kB});
  const std::string hostile = "<img src=x onerror=alert(1)>\"\\\n\xff\xfe";
  cluster.view.nodes[1].hostname = hostile;
  cluster.Reports(kA, {BadEdge(kB, v1::PATH_STATE_REFUSED, hostile)})
      .Reports(kB, {Edge(kA, hostile.substr(0, 10), hostile.substr(0, 20))});
  const Document document = Read(cluster);
  EXPECT_THAT(document.header["nodes"][1]["hostname"].get<std::string>(),
              HasSubstr("<img src=x onerror=alert(1)>\"\\\n\xef\xbf\xbd"));
  const size_t layer = document.header["layers"][0]["fabric"] == "ethernet" ? 0 : 1;
  EXPECT_THAT(document.Reason(layer, 0, 1), HasSubstr("onerror"));
}

TEST(Matrix, SlowEdgesCarryAMarkAndEachLayerIsCounted) {
  auto edge = [](const std::string& dst, const std::string& transport, double mbps) {
    ReportEdge made = Edge(dst, transport);
    made.bw_samples = made.bw_window = 3;
    made.bw_mbps = made.bw_p50_mbps = mbps;
    return made;
  };
  auto to = [&](const std::string& dst, double grpc) {
    return std::vector<ReportEdge>{edge(dst, "grpc", grpc), edge(dst, "tcp", 9000)};
  };
  auto both = [](std::vector<ReportEdge> a, const std::vector<ReportEdge>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  Cluster cluster({kA, kB, kC});
  ReportEdge down = BadEdge(kA, v1::PATH_STATE_UNREACHABLE, "connection refused");
  cluster.Reports(kA, both(to(kB, 500), to(kC, 4000)));
  cluster.Reports(kB, both(to(kA, 4000), to(kC, 4000)));
  cluster.Reports(kC, {down, edge(kA, "grpc", 4000), edge(kB, "grpc", 4000), edge(kB, "tcp", 9000)});
  const Document document = Read(cluster, 0);
  const auto& tcp = document.header["layers"][0];
  const auto& grpc = document.header["layers"][1];
  EXPECT_EQ(tcp["not_ok"], 1);
  EXPECT_EQ(tcp["slow_bandwidth"], 0);
  EXPECT_EQ(tcp["unknown"], 0);
  EXPECT_EQ(grpc["not_ok"], 0);
  EXPECT_EQ(grpc["slow_bandwidth"], 1) << "although its columns were not asked for";
  EXPECT_EQ(grpc["slow_rtt"], 0);
  EXPECT_EQ(grpc["bw_life_ms"], 60'000);
  const Document of_grpc = Read(cluster, 1);
  EXPECT_EQ(of_grpc.At<uint8_t>(1, "slow", 0, 1), Matrix::kSlowBandwidth);
  EXPECT_EQ(of_grpc.At<uint8_t>(1, "slow", 1, 0), 0);
  EXPECT_EQ(of_grpc.State(1, 0, 1), "OK") << "its figure is true";
  EXPECT_EQ(of_grpc.At<float>(1, "bw_p50_mbps", 0, 1), 500);
  EXPECT_EQ(of_grpc.Reason(1, 0, 1), "bandwidth below 50 % of the best of its class, 4 Gb/s");
}

TEST(Matrix, AllLayersOfALargeClusterAreBounded) {
  std::vector<std::string> ids;
  for (int i = 0; i < 1500; ++i) ids.push_back(absl::StrFormat("%056x", i));
  Cluster cluster(ids);
  cluster.Reports(ids[0], {Edge(ids[1]), Edge(ids[1], "grpc")});
  const Matrix matrix = cluster.Build();
  EXPECT_TRUE(matrix.layers[0].filled());
  EXPECT_FALSE(matrix.layers[1].filled()) << "1500 x 1500 x 32 bytes are as much as one document holds";
  EXPECT_THAT(matrix.warnings.back(), HasSubstr("1 of 2 layers"));
  EXPECT_TRUE(cluster.Build(1).layers[1].filled());
}

// 0.1 s in an optimized build.
TEST(Matrix, OfFiveHundredAndTwelveNodes) {
  SyntheticCluster cluster({.nodes = 512});
  const auto view = cluster.At(1, kNow);
  const pace::Stopwatch watch;
  const MonotonicTime begin = watch.started();
  const auto matrix = BuildMatrix(*view, Settings(), kNow, begin, 0);
  const MonotonicTime built = MonotonicNow();
  const std::string bytes = MatrixToBytes(*matrix, "");
  const MonotonicTime end = MonotonicNow();
  RecordProperty("build_ms", static_cast<int>(MillisSince(begin, built)));
  RecordProperty("write_ms", static_cast<int>(MillisSince(built, end)));
  EXPECT_TRUE(watch.Within(std::chrono::seconds(1), end - begin));
  EXPECT_GT(bytes.size(), 31u * 512 * 512);
  EXPECT_LT(bytes.size(), 31u * 512 * 512 + (1 << 20));
  const Document document(bytes);
  std::map<std::string, int> states;
  for (size_t src = 0; src < 512; ++src)
    for (size_t dst = 0; dst < 512; ++dst) ++states[document.State(0, src, dst)];
  EXPECT_EQ(states["-"], 512);
  EXPECT_EQ(states["STALE"], 511);
  EXPECT_GT(states["OK"], 250'000);
  EXPECT_GE(states["UNKNOWN"], 511);
  EXPECT_GE(states["UNREACHABLE"], 509);
}

}  // namespace
}  // namespace netsense
