// The API of a head's bridge over HTTP, from a made-up cluster.
#include "raylet_bridge/serve/cluster_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "raylet_bridge/records/inventory_record.h"
#include "raylet_bridge/records/kv_keys.h"
#include "raylet_bridge/serve/http_api.h"
#include "synthetic_cluster.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

using ::testing::HasSubstr;

constexpr char kToken[] = "a-secret-of-the-test";
const std::string kNobody(56, 'e');
const char* const kDataPaths[] = {"/api/v0/network_topology", "/api/v0/network_matrix",
                                  "/api/v0/network_edge?src=a&dst=b", "/api/v0/network_node?node=a", "/metrics"};

int64_t MemoryKb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t kb = 0;
  while (status >> word)
    if (word == field) status >> kb;
  return kb;
}

class Head {
 public:
  explicit Head(const SyntheticOptions& options) : cluster_(options) {
    const int64_t now = EpochMillis();
    view_ = cluster_.At(1, now);
    history_.Look(*view_, Settings(), now, MonotonicNow());
    auto server = HttpServer::Start(
        {.host = "127.0.0.1",
         .port = 0,
         .token = kToken,
         .routes = HttpApiRoutes({.sources = {.state = [this] { return State(); },
                                              .history = &history_,
                                              .read_key = [this](const std::string& key) { return Read(key); }},
                                  .whole_cluster = true,
                                  .page = EmbeddedPage()})});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  const std::string& id(size_t i) const { return cluster_.node_id(i); }
  uint16_t port() const { return server_->port(); }

  httplib::Result Ask(const std::string& path, const std::string& token = kToken,
                      const httplib::Headers& headers = {}) const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_read_timeout(pace::Patience());
    httplib::Headers all = headers;
    if (!token.empty()) all.emplace("Authorization", "Bearer " + token);
    return client.Get(path, all);
  }
  int CodeOf(const std::string& path, const std::string& token = kToken) const {
    auto answer = Ask(path, token);
    return answer ? answer->status : -1;
  }
  nlohmann::json ResultOf(const std::string& path) const {
    auto answer = Ask(path);
    EXPECT_EQ(answer->status, 200) << answer->body;
    const auto document = nlohmann::json::parse(answer->body);
    EXPECT_EQ(document["result"], true);
    return document["data"]["result"];
  }
  std::string RefusalOf(const std::string& path, int code) const {
    auto answer = Ask(path);
    EXPECT_EQ(answer->status, code) << path;
    const auto document = nlohmann::json::parse(answer->body);
    EXPECT_EQ(document["result"], false);
    EXPECT_EQ(document["data"], nlohmann::json::object());
    return document["msg"];
  }

  std::string gcs_watch_problem;
  std::map<std::string, std::string> table;
  absl::Status gcs_failure;

 private:
  BridgeState State() const {
    BridgeState state;
    state.node_id = id(0);
    state.view = view_;
    state.gcs_heard = MonotonicNow();
    state.gcs_watch_problem = gcs_watch_problem;
    return state;
  }
  absl::StatusOr<std::optional<std::string>> Read(const std::string& key) const {
    if (!gcs_failure.ok()) return gcs_failure;
    auto found = table.find(key);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  }

  SyntheticCluster cluster_;
  std::shared_ptr<const ClusterView> view_;
  EdgeHistory history_;
  std::unique_ptr<HttpServer> server_;
};

TEST(ClusterRoutes, DataAreForThoseWhoKnowTheToken) {
  Head head({.nodes = 3});
  for (const std::string path : kDataPaths) {
    EXPECT_EQ(head.CodeOf(path, ""), 401) << path;
    EXPECT_EQ(head.CodeOf(path, "wrong"), 403) << path;
    EXPECT_EQ(head.CodeOf(path, std::string(kToken) + "x"), 403) << path;
    EXPECT_EQ(head.CodeOf(path, std::string(kToken).substr(0, 5)), 403) << path;
  }
  EXPECT_EQ(head.CodeOf("/page.js?token=x", ""), 200) << "the page holds no data";
  EXPECT_EQ(head.CodeOf("/page.js/", ""), 401);
  EXPECT_EQ(head.CodeOf("//api/v0/network_matrix", ""), 401);
  EXPECT_EQ(head.CodeOf("/page.js/../api/v0/network_matrix", ""), 401);
}

TEST(ClusterRoutes, ThePageComesWithAPolicyAndATag) {
  Head head({.nodes = 3});
  const std::pair<const char*, const char*> files[] = {{"/", "text/html; charset=utf-8"},
                                                       {"/page.js", "text/javascript; charset=utf-8"},
                                                       {"/page.css", "text/css; charset=utf-8"}};
  for (const auto& [path, type] : files) {
    auto answer = head.Ask(path, "");
    ASSERT_EQ(answer->status, 200);
    EXPECT_GT(answer->body.size(), 100u);
    EXPECT_EQ(answer->get_header_value("Content-Type"), type);
    EXPECT_THAT(answer->get_header_value("Content-Security-Policy"),
                HasSubstr("default-src 'none'; script-src 'self'"));
    EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer->get_header_value("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(answer->get_header_value_count("Cache-Control"), 1u);
    EXPECT_EQ(answer->get_header_value("Cache-Control"), "no-cache");
    const std::string tag = answer->get_header_value("ETag");
    EXPECT_FALSE(tag.empty());
    auto again = head.Ask(path, "", {{"If-None-Match", tag}});
    EXPECT_EQ(again->status, 304);
    EXPECT_TRUE(again->body.empty());
    EXPECT_EQ(head.Ask(path, "", {{"If-None-Match", "\"other\""}})->status, 200);
  }
  EXPECT_EQ(head.CodeOf("/favicon.ico", ""), 204);
  EXPECT_EQ(head.Ask("/api/v0/network_topology")->get_header_value("Cache-Control"), "no-store");
}

TEST(ClusterRoutes, MatrixOfOneLayerOrAll) {
  Head head({.nodes = 3});
  auto all = head.Ask("/api/v0/network_matrix");
  ASSERT_EQ(all->status, 200);
  EXPECT_EQ(all->get_header_value("Content-Type"), "application/octet-stream");
  EXPECT_EQ(all->body.substr(0, 4), "NSM1");
  EXPECT_LT(head.Ask("/api/v0/network_matrix?layer=1")->body.size(), all->body.size());
  for (const std::string wrong : {"2", "-1", "x", "", "1x", "99999999999999999999", "1%00"})
    EXPECT_THAT(head.RefusalOf("/api/v0/network_matrix?layer=" + wrong, 400), HasSubstr("layer")) << wrong;
}

TEST(ClusterRoutes, OneEdgeWithItsHistory) {
  Head head({.nodes = 3, .rails = 2});
  const auto topology = head.ResultOf("/api/v0/network_topology");
  nlohmann::json wanted = nlohmann::json::array();
  for (const auto& edge : topology["edges"])
    if (edge["src_node_id"] == head.id(0) && edge["dst_node_id"] == head.id(2)) wanted.push_back(edge);
  const auto result = head.ResultOf("/api/v0/network_edge?src=" + head.id(0) + "&dst=" + head.id(2));
  // Ethernet, two rails, and the path between the rails: the answer leaves none out.
  ASSERT_EQ(wanted.size(), 4u);
  ASSERT_EQ(result["edges"].size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    for (const char* field : {"transport", "fabric", "rail", "cross_rail", "state", "rtt_p50_ms", "bw_p50_mbps"})
      EXPECT_EQ(result["edges"][i][field], wanted[i][field]);
  EXPECT_EQ(result["edges"][0].size(), wanted[0].size());
  // A path between rails is in no layer, and has no history.
  ASSERT_EQ(result["history"].size(), 3u);
  const auto& line = result["history"][2];
  EXPECT_EQ(line["transport"], "verbs");
  EXPECT_EQ(line["rail"], 1);
  EXPECT_EQ(line["step_ms"], 10'000);
  ASSERT_EQ(line["points"].size(), 1u);
  EXPECT_EQ(line["points"][0][3], "OK");
  EXPECT_NEAR(line["points"][0][1], result["edges"][3]["rtt_p50_ms"].get<double>(), 1e-6);
  EXPECT_NEAR(line["points"][0][0], result["generated_at_ms"].get<double>(), 11'000);
  const auto bad = head.ResultOf("/api/v0/network_edge?src=" + head.id(2) + "&dst=" + head.id(1));
  EXPECT_EQ(bad["edges"][0]["state"], "ISOLATED") << "between rails";
  EXPECT_EQ(bad["edges"][1]["state"], "UNREACHABLE");
  EXPECT_TRUE(bad["history"][0]["points"][0][1].is_null());
}

TEST(ClusterRoutes, ATopologyOfTooManyEdgesIsRefusedWithWhatToAskInstead) {
  Head head({.nodes = 257});
  const std::string why = head.RefusalOf("/api/v0/network_topology", 413);
  EXPECT_THAT(why, HasSubstr("/api/v0/network_matrix"));
  EXPECT_THAT(why, HasSubstr("/api/v0/network_edge"));
  EXPECT_EQ(head.CodeOf("/api/v0/network_matrix?layer=0"), 200);
  EXPECT_EQ(head.ResultOf("/api/v0/network_topology?edges=none")["nodes"].size(), 257u);
  EXPECT_THAT(head.RefusalOf("/api/v0/network_topology?edges=some", 400), HasSubstr("none"));
  EXPECT_GE(head.ResultOf("/api/v0/network_edge?src=" + head.id(0) + "&dst=" + head.id(2))["edges"].size(), 1u);
}

TEST(ClusterRoutes, OneNodeWithItsInventory) {
  Head head({.nodes = 3});
  const std::string path = "/api/v0/network_node?node=" + head.id(1);
  const auto topology = head.ResultOf("/api/v0/network_topology");
  auto result = head.ResultOf(path);
  for (const char* field : {"node_id", "hostname", "state", "reachable", "num_out_edges", "door"})
    EXPECT_EQ(result["node"][field], topology["nodes"][1][field]) << field;
  EXPECT_TRUE(result["inventory"].is_null());
  EXPECT_THAT(result["inventory_reason"], HasSubstr("written none"));
  head.table[InventoryKey(head.id(1))] = InventoryToJson(head.id(1), SyntheticCluster({.nodes = 3}).Inventory(1));
  result = head.ResultOf(path);
  EXPECT_EQ(result["inventory"]["gpus"].size(), 8u);
  EXPECT_EQ(result["inventory_reason"], "");
  head.table[InventoryKey(head.id(1))] = "{";
  EXPECT_THAT(head.ResultOf(path)["inventory_reason"], HasSubstr("can't be used"));
  head.gcs_failure = absl::UnavailableError("the GCS is gone");
  EXPECT_THAT(head.ResultOf(path)["inventory_reason"], HasSubstr("the GCS is gone"));
}

TEST(ClusterRoutes, AGcsThatServesNoNewConnectionIsToldWhereOneLooks) {
  Head head({.nodes = 3});
  EXPECT_EQ(head.CodeOf("/healthz", ""), 200);
  head.gcs_watch_problem = "no new connection is served";
  auto health = head.Ask("/healthz", "");
  EXPECT_EQ(health->status, 503);
  EXPECT_EQ(nlohmann::json::parse(health->body)["reason"], "no new connection is served");
  const auto topology = nlohmann::json::parse(head.Ask("/api/v0/network_topology")->body);
  EXPECT_EQ(topology["msg"], "no new connection is served");
}

TEST(ClusterRoutes, WrongQuestionsAreToldWhatIsWrong) {
  Head head({.nodes = 3});
  const std::string edge = "/api/v0/network_edge", node = "/api/v0/network_node", id = head.id(0);
  for (const std::string& path :
       {edge, edge + "?src=" + id, edge + "?src=" + id + "&dst=x", edge + "?src=" + id + "&dst=" + id,
        edge + "?src=" + id + "%00&dst=" + head.id(1), edge + "?src=" + std::string(56, 'A') + "&dst=" + id, node,
        node + "?node=", node + "?node=../config", node + "?node=" + id + id, node + "?node=" + std::string(56, 'A'),
        node + "?NODE=" + id})
    EXPECT_FALSE(head.RefusalOf(path, 400).empty()) << path;
  EXPECT_THAT(head.RefusalOf(node + "?node=" + kNobody, 404), HasSubstr(kNobody));
  EXPECT_THAT(head.RefusalOf(edge + "?src=" + id + "&dst=" + kNobody, 404), HasSubstr(kNobody));
  EXPECT_THAT(head.RefusalOf(edge + "?src=" + kNobody + "&dst=" + id, 404), HasSubstr(kNobody));
  EXPECT_EQ(head.CodeOf("/api/v0/network_matrix/x"), 404);
  EXPECT_GE(head.CodeOf("/api/v0/network_node?node=" + std::string(8 << 10, 'a')), 400);
  EXPECT_GE(head.CodeOf("/api/v0/network_matrix?layer=" + std::string(7 << 10, '0') + "9"), 400);
  EXPECT_EQ(head.CodeOf("/api/v0/network_matrix"), 200) << "and goes on";
}

TEST(ClusterRoutes, DocumentsAreSentWhole) {
  Head head({.nodes = 3});
  for (const char* path : {"/page.js", "/api/v0/network_topology"}) {
    const size_t size = head.Ask(path)->body.size();
    for (const char* ranges : {"bytes=0-9", "bytes=0-99,0-99,0-99"}) {
      auto answer = head.Ask(path, kToken, {{"Range", ranges}});
      EXPECT_EQ(answer->status, 200);
      EXPECT_NEAR(static_cast<double>(answer->body.size()), static_cast<double>(size), 100);
    }
  }
}

// 20 readers of 8 MB: what is sent is one document, shared.
TEST(ClusterRoutes, ManyReadersShareOneDocument) {
  Head head({.nodes = 512});
  const size_t size = head.Ask("/api/v0/network_matrix?layer=0")->body.size();
  EXPECT_GT(size, 8'000'000u);
  constexpr int kReaders = 20, kRounds = 3;
  std::atomic<int> good = 0;
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const int64_t before_kb = MemoryKb("VmRSS:");
  const MonotonicTime begin = MonotonicNow();
  std::vector<std::jthread> readers;
  for (int i = 0; i < kReaders; ++i)
    readers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        httplib::Client client("127.0.0.1", head.port());
        client.set_read_timeout(pace::Patience());
        size_t got = 0;
        auto answer = client.Get("/api/v0/network_matrix?layer=0",
                                 httplib::Headers{{"Authorization", std::string("Bearer ") + kToken}},
                                 [&got](const char*, size_t length) {
                                   got += length;
                                   return true;
                                 });
        good += answer && answer->status == 200 && got + 100'000 > size && got < size + 100'000;
      }
    });
  readers.clear();
  const int64_t grown_mb = (MemoryKb("VmHWM:") - before_kb) / 1024;
  RecordProperty("milliseconds", static_cast<int>(MillisSince(begin)));
  RecordProperty("grown_mb", static_cast<int>(grown_mb));
  EXPECT_EQ(good, kReaders * kRounds);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(grown_mb, 100) << "a copy for each reader would be 160";
#endif
}

}  // namespace
}  // namespace netsense
