#include "raylet_bridge/plan/mesh_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

namespace netsense {
namespace {

std::string NodeId(size_t i) { return absl::StrFormat("%056x", i); }

struct Cluster {
  std::vector<ClusterNode> alive;
  std::map<std::string, DoorRecord> doors;
};

Cluster ClusterOf(size_t n) {
  Cluster cluster;
  for (size_t i = 0; i < n; ++i) {
    cluster.alive.push_back({NodeId(i), absl::StrFormat("10.0.0.%d", i + 1), "", true, i == 0, 0});
    DoorRecord door;
    door.node_id = NodeId(i);
    door.address = cluster.alive.back().address;
    door.port = 18590;
    cluster.doors[door.node_id] = door;
  }
  return cluster;
}

Settings Enabled() {
  Settings settings;
  settings.enabled = settings.bw_enabled = true;
  return settings;
}

// Each node's own plan, joined: in every slot no node is in two pairs, and over all slots each ordered pair stands
// exactly once.
TEST(MeshPlan, SlotsVisitEveryOrderedPairOnceAndNoNodeTwiceAtATime) {
  for (size_t n = 1; n <= 33; ++n) {
    Cluster cluster = ClusterOf(n);
    std::map<uint32_t, std::vector<std::pair<std::string, std::string>>> by_slot;
    std::set<std::pair<std::string, std::string>> pairs;
    std::set<uint32_t> slot_counts;
    for (const ClusterNode& node : cluster.alive) {
      v1::Plan plan = MakeMeshPlan(node.node_id, cluster.alive, cluster.doors, Enabled());
      ASSERT_EQ(static_cast<size_t>(plan.paths_size()), n - 1);
      for (const v1::PlannedPath& path : plan.paths()) {
        ASSERT_LT(path.bandwidth_slot(), path.bandwidth_slots());
        slot_counts.insert(path.bandwidth_slots());
        by_slot[path.bandwidth_slot()].emplace_back(node.node_id, path.dst_node_id());
        ASSERT_TRUE(pairs.emplace(node.node_id, path.dst_node_id()).second) << "a pair twice, n = " << n;
      }
    }
    EXPECT_EQ(pairs.size(), n * (n - 1));
    for (const auto& [slot, members] : by_slot) {
      std::set<std::string> busy;
      for (const auto& [from, to] : members) {
        EXPECT_TRUE(busy.insert(from).second) << "n = " << n << ", slot " << slot;
        EXPECT_TRUE(busy.insert(to).second) << "n = " << n << ", slot " << slot;
      }
    }
    if (n > 1) {
      EXPECT_EQ(slot_counts, std::set<uint32_t>{static_cast<uint32_t>(2 * (n % 2 == 0 ? n - 1 : n))})
          << "nodes disagree, n = " << n;
    }
  }
}

TEST(MeshPlan, TakesSettingsAndDoors) {
  Cluster cluster = ClusterOf(3);
  cluster.doors.erase(NodeId(2));
  Settings settings = Enabled();
  settings.tick_ms = 1234;
  settings.rtt_timeout_ms = 321;
  settings.rtt_payload_bytes = 77;
  settings.rtt_m = 9;
  settings.bw_m = 7;
  settings.bw_payload_bytes = 4 << 20;
  settings.lease_ms = 4000;
  v1::Plan plan = MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings);
  EXPECT_EQ(plan.self_node_id(), NodeId(0));
  EXPECT_EQ(plan.lease_ms(), 4000u);
  EXPECT_EQ(plan.rtt_window(), 9u);
  EXPECT_EQ(plan.bandwidth_window(), 7u);
  ASSERT_EQ(plan.paths_size(), 1) << "a node without a door can't be probed";
  const v1::PlannedPath& path = plan.paths(0);
  EXPECT_EQ(path.path_id(), NodeId(1) + "/tcp");
  EXPECT_EQ(path.dst_address(), "10.0.0.2");
  EXPECT_EQ(path.dst_port(), 18590u);
  EXPECT_EQ(path.ping_interval_ms(), 1234u);
  EXPECT_EQ(path.ping_timeout_ms(), 321u);
  EXPECT_EQ(path.ping_payload_bytes(), 77u);
  EXPECT_EQ(path.bandwidth_bytes(), uint64_t{4 << 20});
  EXPECT_EQ(path.bandwidth_slots(), 6u) << "the node without a door keeps its place in the rounds";
}

// Who may write the KV must not aim every engine.
TEST(MeshPlan, ANodeIsDialledWhereTheNodeListHasIt) {
  Cluster cluster = ClusterOf(2);
  Settings settings = Enabled();
  settings.transports = {.names = {"tcp", "grpc"}};
  for (const char* elsewhere : {"192.0.2.7", "elsewhere.example", "", "::1"}) {
    cluster.doors[NodeId(1)].address = elsewhere;
    const v1::Plan plan = MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings);
    ASSERT_EQ(plan.paths_size(), 2);
    for (const v1::PlannedPath& path : plan.paths()) {
      EXPECT_EQ(path.dst_address(), "10.0.0.2") << elsewhere;
      EXPECT_EQ(path.node_address(), "10.0.0.2");
    }
  }
}

// Each transport has a round of its own: in a slot no node is in two pairs, whatever they speak.
TEST(MeshPlan, TransportsStreamOneAfterAnother) {
  Cluster cluster = ClusterOf(5);
  Settings settings = Enabled();
  settings.transports = {.names = {"tcp", "grpc", "ucx"}};
  std::map<uint32_t, std::set<std::string>> busy;  // slot -> nodes
  std::set<std::string> ids;
  for (const ClusterNode& node : cluster.alive) {
    v1::Plan plan = MakeMeshPlan(node.node_id, cluster.alive, cluster.doors, settings);
    ASSERT_EQ(plan.paths_size(), 4 * 3);
    for (const v1::PlannedPath& path : plan.paths()) {
      ASSERT_LT(path.bandwidth_slot(), path.bandwidth_slots());
      EXPECT_EQ(path.path_id(), path.dst_node_id() + "/" + path.transport());
      EXPECT_TRUE(ids.insert(node.node_id + path.path_id()).second);
      EXPECT_TRUE(busy[path.bandwidth_slot()].insert(node.node_id).second);
      EXPECT_TRUE(busy[path.bandwidth_slot()].insert(path.dst_node_id()).second);
    }
  }
}

TEST(MeshPlan, AllMeansWhateverSomeDoorOffers) {
  Cluster cluster = ClusterOf(2);
  Settings settings = Enabled();
  settings.transports = {.all = true};
  cluster.doors[NodeId(0)].transports = {"tcp", "ucx"};
  cluster.doors[NodeId(1)].transports = {"grpc", "tcp"};
  std::set<std::string> planned;
  const v1::Plan plan = MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings);
  for (const v1::PlannedPath& path : plan.paths()) planned.insert(path.transport());
  EXPECT_EQ(planned, (std::set<std::string>{"grpc", "tcp", "ucx"}));
}

TEST(MeshPlan, DisabledOrWithoutBandwidth) {
  Cluster cluster = ClusterOf(3);
  Settings settings;
  v1::Plan plan = MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings);
  EXPECT_EQ(plan.paths_size(), 0);
  EXPECT_FALSE(plan.plan_id().empty());
  settings.enabled = true;
  plan = MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings);
  ASSERT_EQ(plan.paths_size(), 2);
  EXPECT_EQ(plan.paths(0).bandwidth_slots(), 0u);
}

TEST(MeshPlan, IdTellsContentsApart) {
  Cluster cluster = ClusterOf(3);
  Settings settings = Enabled();
  auto id = [&] { return MakeMeshPlan(NodeId(0), cluster.alive, cluster.doors, settings).plan_id(); };
  const std::string first = id();
  EXPECT_EQ(id(), first);
  settings.rtt_timeout_ms += 1;
  const std::string second = id();
  EXPECT_NE(second, first);
  cluster.doors[NodeId(1)].port = 1;
  EXPECT_NE(id(), second);
}

}  // namespace
}  // namespace netsense
