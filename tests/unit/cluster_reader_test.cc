// What the head reads of a cluster, and where it finds it.
#include "raylet_bridge/cluster/cluster_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "fake_gcs.h"
#include "raylet_bridge/cli/head_api.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

const std::string kA(56, 'a'), kB(56, 'b');
constexpr int64_t kNow = 1'700'000'000'000;

class HeadApi : public testing::Test {
 protected:
  HeadApi() { gcs_.nodes = {{kA, "10.0.0.1", "", true, true, 0}, {kB, "10.0.0.2", "", true, false, 0}}; }
  // Where a reader would send the token to.
  std::string Found(const std::string& address) {
    gcs_.table[kHttpApiKey] = R"({"node_id":"x","address":")" + address + R"(","port":18591})";
    auto api = FindHeadApi(gcs_);
    EXPECT_TRUE(api.ok()) << api.status();
    return api.ok() && api->has_value() ? (*api)->host : "";
  }
  FakeGcs gcs_;
};

TEST_F(HeadApi, TheTokenGoesToTheHeadOnly) {
  EXPECT_EQ(Found("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(Found("fake"), "fake") << "the GCS's own host";
  EXPECT_EQ(Found("10.0.0.2"), "");
  EXPECT_EQ(Found("evil.example"), "");
  gcs_.table[kHttpApiKey] = "{";
  EXPECT_FALSE(FindHeadApi(gcs_)->has_value());
  gcs_.failure = absl::UnavailableError("gone");
  EXPECT_FALSE(FindHeadApi(gcs_).ok());
}

class Sightings : public testing::Test {
 protected:
  Sightings() {
    gcs_.nodes = {{kA, "10.0.0.1", "", true, true, 0}};
    Write(kNow);
  }
  void Write(int64_t ts_ms) { gcs_.table[ReportKey(kA)] = ReportToJson({kA, ts_ms, "0.1.0", 2000, 0, "", {}}); }
  std::optional<int64_t> AgeAt(int64_t epoch_ms, milliseconds since_start) {
    MonotonicTime now = MonotonicTime() + since_start;
    EXPECT_TRUE(reader_->Poll(true, now).ok());
    node_ = BuildTopology(*reader_->view(), Settings(), epoch_ms, now).nodes[0];
    return node_.report_age_ms;
  }
  TopologyNode node_;
  FakeGcs gcs_;
  std::optional<ClusterReader> reader_{&gcs_};
};

TEST_F(Sightings, SteppingClocksMakeOldDataNeitherFreshNorStale) {
  EXPECT_EQ(AgeAt(kNow + 100, milliseconds(0)), 0);
  Write(kNow + 2000);
  EXPECT_EQ(AgeAt(kNow + 2100, milliseconds(2000)), 0) << "seen to change just now";
  // The reader's clock steps back by an hour, and forward: the report grows old by the monotonic clock alone.
  EXPECT_EQ(AgeAt(kNow - 3'600'000, milliseconds(9000)), 7000);
  EXPECT_EQ(AgeAt(kNow + 3'600'000, milliseconds(10'000)), 8000);
  // A writer whose clock is an hour behind is fresh, once it was seen to write.
  Write(kNow - 3'600'000);
  EXPECT_EQ(AgeAt(kNow, milliseconds(11'000)), 0);
  EXPECT_EQ(node_.state, v1::PATH_STATE_OK);
  EXPECT_EQ(node_.reason, "its clock is 3600 s behind ours");
}

TEST_F(Sightings, WithoutAnyChangeNothingIsKnownAndThenItIsStale) {
  for (int64_t ahead_ms : {-30'000, 0, 3'600'000}) {  // whatever the clocks say
    reader_.emplace(&gcs_);
    Write(kNow + ahead_ms);
    EXPECT_EQ(AgeAt(kNow, milliseconds(0)), 0);
    EXPECT_EQ(node_.state, v1::PATH_STATE_UNKNOWN) << ahead_ms;
    EXPECT_NE(node_.reason.find("seen only once"), std::string::npos) << node_.reason;
    EXPECT_EQ(AgeAt(kNow, milliseconds(Settings().rtt_ttl_ms)), Settings().rtt_ttl_ms);
    EXPECT_EQ(node_.state, v1::PATH_STATE_UNKNOWN);
    EXPECT_EQ(AgeAt(kNow, milliseconds(Settings().rtt_ttl_ms + 1)), Settings().rtt_ttl_ms + 1);
    EXPECT_EQ(node_.state, v1::PATH_STATE_STALE);
  }
}

TEST_F(Sightings, AWorkerThatIsHalfAMinuteBehindIsOkAndTold) {
  Write(kNow - 32'000);
  AgeAt(kNow, milliseconds(0));
  Write(kNow - 30'000);
  AgeAt(kNow + 2000, milliseconds(2000));
  EXPECT_EQ(node_.state, v1::PATH_STATE_OK);
  EXPECT_EQ(node_.reason, "its clock is 32 s behind ours");
}

TEST_F(Sightings, AReportThatWasNotThereBeforeIsNew) {
  gcs_.table.clear();
  EXPECT_EQ(AgeAt(kNow, milliseconds(0)), std::nullopt);
  Write(kNow - 100'000);
  EXPECT_EQ(AgeAt(kNow, milliseconds(2000)), 0);
  EXPECT_EQ(node_.state, v1::PATH_STATE_OK);
}

TEST_F(Sightings, OfAReportThatWasSeenOnceNoEdgeIsKnown) {
  ReportEdge edge_to_b;
  edge_to_b.dst_node_id = kB;
  edge_to_b.state = v1::PATH_STATE_OK;
  edge_to_b.rtt_p50_ms = 0.07;
  gcs_.nodes.push_back({kB, "10.0.0.2", "", true, false, 0});
  gcs_.table[ReportKey(kA)] = ReportToJson({kA, kNow, "0.1.0", 2000, 0, "", {edge_to_b}});
  ASSERT_TRUE(reader_->Poll(true, MonotonicTime()).ok());
  const Topology topology = BuildTopology(*reader_->view(), Settings(), kNow, MonotonicTime());
  const auto edge = *std::find_if(topology.edges.begin(), topology.edges.end(),
                                  [](const TopologyEdge& each) { return each.src_node_id == kA; });
  EXPECT_EQ(edge.edge.state, v1::PATH_STATE_UNKNOWN);
  EXPECT_FALSE(edge.edge.rtt_p50_ms);
  EXPECT_NE(edge.edge.reason.find("source: its report was seen only once"), std::string::npos) << edge.edge.reason;
}

TEST(ClusterReader, KeepsItsViewWhenTheGcsFails) {
  FakeGcs gcs;
  gcs.nodes = {{kA, "10.0.0.1", "", true, true, 0}};
  gcs.table[DoorKey(kA)] = "{";
  ClusterReader reader(&gcs);
  ASSERT_TRUE(reader.Poll(false).ok());
  EXPECT_FALSE(reader.view()->doors.at(kA).ok());
  gcs.failure = absl::UnavailableError("gone");
  EXPECT_FALSE(reader.Poll(false).ok());
  EXPECT_EQ(reader.view()->nodes.size(), 1u);
}

}  // namespace
}  // namespace netsense
