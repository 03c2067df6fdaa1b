#include "raylet_bridge/plan/port_pairs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "raylet_bridge/cluster/rail_check.h"
#include "raylet_bridge/plan/mesh_plan.h"

namespace netsense {
namespace {

std::string NodeId(int i) { return absl::StrFormat("%056x", i + 1); }

// Node i with a management port and `rails` RoCE ports: 10.R.0.i on rail R.
DoorRecord NodeWithRails(int i, uint32_t rails) {
  DoorRecord door;
  door.node_id = NodeId(i);
  door.address = absl::StrCat("192.168.0.", i + 1);
  door.port = 18590;
  door.transports = {"tcp", "verbs"};
  door.capabilities["verbs"] = {kByDevice, kNeedsRdma};
  door.capabilities["ucx"] = {kByDevice};
  v1::Port management;
  management.set_name("eth0");
  management.set_netdev("eth0");
  management.set_fabric(v1::FABRIC_KIND_ETHERNET);
  management.add_addresses(door.address);
  door.ports.push_back(management);
  for (uint32_t rail = 0; rail < rails; ++rail) {
    v1::Port port;
    port.set_name(absl::StrCat("mlx5_", rail));
    port.set_netdev(absl::StrCat("rdma", rail));
    port.set_rdma_device(port.name());
    port.set_rdma_port(1);
    port.set_fabric(v1::FABRIC_KIND_ROCE);
    port.set_speed_bps(400'000'000'000);
    port.set_pci_address(absl::StrFormat("0000:%02x:00.0", 0x10 + rail));
    port.add_addresses(absl::StrCat("fe80::", i + 1));
    port.add_addresses(absl::StrCat("10.", rail, ".0.", i + 1));
    port.set_rail(rail);
    door.ports.push_back(port);
  }
  return door;
}

v1::Plan PlanOf(const std::vector<DoorRecord>& nodes, const std::string& transports,
                const std::string& rails = "auto") {
  std::vector<ClusterNode> alive;
  std::map<std::string, DoorRecord> doors;
  for (const DoorRecord& node : nodes) {
    alive.push_back({node.node_id, node.address, "", true, false, 0});
    doors[node.node_id] = node;
  }
  Settings settings;
  settings.enabled = settings.bw_enabled = true;
  settings.transports = ParseTransportChoice(transports);
  settings.rails = ParseSelection(rails);
  return MakeMeshPlan(nodes.front().node_id, alive, doors, settings);
}

TEST(PortPairs, SameRailsWithAddressesOfOneFamilyAndDevicesByName) {
  auto pairs = SameRails(NodeWithRails(0, 2), NodeWithRails(1, 2), "verbs");
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[1].source, "mlx5_1");
  EXPECT_EQ(pairs[1].source_address, "10.1.0.1");
  EXPECT_EQ(pairs[1].destination_address, "10.1.0.2") << "not a link-local one";
  EXPECT_EQ(pairs[1].options.device(), "mlx5_1:1");
  EXPECT_EQ(pairs[1].options.peer_device(), "mlx5_1:1");
  EXPECT_EQ(pairs[1].rail, 1u);
  EXPECT_TRUE(SameRails(NodeWithRails(0, 1), NodeWithRails(1, 1), "tcp")[0].options.device().empty())
      << "tcp knows no devices";
}

TEST(PortPairs, WithoutAnAddressOnlyWhatGoesByDevice) {
  DoorRecord a = NodeWithRails(0, 1), b = NodeWithRails(1, 1);
  b.ports[1].clear_addresses();
  EXPECT_TRUE(SameRails(a, b, "tcp").empty());
  ASSERT_EQ(SameRails(a, b, "verbs").size(), 1u);
  EXPECT_TRUE(SameRails(a, b, "verbs")[0].source_address.empty()) << "the kernel's routes lead to the door";
}

TEST(PortPairs, WhatNeedsRdmaGoesBetweenRdmaDevicesAlone) {
  DoorRecord a = NodeWithRails(0, 1), b = NodeWithRails(1, 1);
  b.ports[1].clear_rdma_device();
  EXPECT_TRUE(SameRails(a, b, "verbs").empty());
  ASSERT_EQ(SameRails(a, b, "ucx").size(), 1u);
  EXPECT_EQ(SameRails(a, b, "ucx")[0].options.peer_device(), "rdma0") << "by its network device";
}

TEST(PortPairs, OtherFabricsAreNoPair) {
  DoorRecord a = NodeWithRails(0, 1), b = NodeWithRails(1, 1);
  b.ports[1].set_fabric(v1::FABRIC_KIND_INFINIBAND);
  EXPECT_TRUE(SameRails(a, b, "verbs").empty());
}

TEST(PortPairs, CrossRailIsSteadyAndAClusterTriesMany) {
  std::set<std::pair<std::string, std::string>> tried;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      if (i == j) continue;
      auto pair = CrossRail(NodeWithRails(i, 4), NodeWithRails(j, 4), "tcp");
      ASSERT_TRUE(pair);
      EXPECT_NE(pair->source, pair->destination);
      EXPECT_EQ(pair->destination, CrossRail(NodeWithRails(i, 4), NodeWithRails(j, 4), "tcp")->destination);
      tried.emplace(pair->source, pair->destination);
    }
  EXPECT_EQ(tried.size(), 12u) << "every ordered pair of four rails";
  EXPECT_FALSE(CrossRail(NodeWithRails(0, 1), NodeWithRails(1, 1), "tcp"));
}

TEST(MeshPlanByRail, OnePathPerRailOneAcrossAndOneForBeingThere) {
  v1::Plan plan = PlanOf({NodeWithRails(0, 2), NodeWithRails(1, 2)}, "tcp,verbs");
  int by_rail = 0, across = 0, by_routes = 0;
  std::set<uint32_t> slots;
  std::set<std::string> ids;
  for (const v1::PlannedPath& path : plan.paths()) {
    EXPECT_TRUE(ids.insert(path.path_id()).second);
    if (path.cross_rail()) {
      ++across;
      EXPECT_EQ(path.bandwidth_slots(), 0u) << "only asked whether there is a way";
    } else if (path.has_rail()) {
      ++by_rail;
      EXPECT_EQ(path.bandwidth_slots(), 2u * 4) << "two transports on two rails, one after another";
      EXPECT_TRUE(slots.insert(path.bandwidth_slot()).second);
      EXPECT_EQ(path.source_address(), absl::StrCat("10.", path.rail(), ".0.1"));
      EXPECT_EQ(path.dst_address(), absl::StrCat("10.", path.rail(), ".0.2"));
    } else {
      ++by_routes;
      EXPECT_EQ(path.dst_address(), "192.168.0.2");
      EXPECT_EQ(path.bandwidth_slots(), 0u);
      EXPECT_EQ(path.options().ByteSizeLong(), 0u);
    }
  }
  EXPECT_EQ(by_rail, 4);
  EXPECT_EQ(across, 1);
  EXPECT_EQ(by_routes, 1);
}

TEST(MeshPlanByRail, ATransportThatCannotUseTheRailsGoesByTheRoutes) {
  DoorRecord a = NodeWithRails(0, 2), b = NodeWithRails(1, 2);
  for (DoorRecord* node : {&a, &b})
    for (size_t i = 1; i < node->ports.size(); ++i) node->ports[i].clear_addresses();
  int tcp = 0, verbs = 0;
  const v1::Plan plan = PlanOf({a, b}, "tcp,verbs");
  for (const v1::PlannedPath& path : plan.paths()) {
    if (path.cross_rail()) continue;
    if (path.transport() == "tcp") {
      ++tcp;
      EXPECT_FALSE(path.has_rail());
      EXPECT_GT(path.bandwidth_slots(), 0u);
    } else {
      ++verbs;
      EXPECT_TRUE(path.has_rail());
    }
  }
  EXPECT_EQ(tcp, 1);
  EXPECT_EQ(verbs, 2);
}

TEST(MeshPlanByRail, OffMeansTheRoutesAlone) {
  v1::Plan plan = PlanOf({NodeWithRails(0, 2), NodeWithRails(1, 2)}, "tcp,verbs", "off");
  ASSERT_EQ(plan.paths_size(), 2);
  for (const v1::PlannedPath& path : plan.paths()) EXPECT_TRUE(path.source_port().empty());
}

// Whoever has more rails than another agrees with it on the slots: no port is in two pairs at once.
TEST(MeshPlanByRail, NodesWithOtherNumbersOfRailsAgreeOnTheSlots) {
  std::vector<DoorRecord> nodes = {NodeWithRails(0, 4), NodeWithRails(1, 2), NodeWithRails(2, 4)};
  std::set<uint32_t> rounds;
  for (int i = 0; i < 3; ++i) {
    const v1::Plan plan = PlanOf(nodes, "tcp");
    for (const v1::PlannedPath& path : plan.paths())
      if (path.bandwidth_slots() > 0) rounds.insert(path.bandwidth_slots());
    std::rotate(nodes.begin(), nodes.begin() + 1, nodes.end());
  }
  EXPECT_EQ(rounds.size(), 1u);
}

TEST(RailCheck, NamesTheNodeThatIsNotLikeTheOthers) {
  std::vector<DoorRecord> doors;
  for (int i = 0; i < 4; ++i) doors.push_back(NodeWithRails(i, 2));
  std::vector<NodeRails> nodes;
  for (int i = 0; i < 4; ++i) nodes.push_back({absl::StrCat("n", i), &doors[static_cast<size_t>(i)]});
  EXPECT_TRUE(RailWarnings(nodes).empty());
  doors[2].ports[2].set_speed_bps(100'000'000'000);
  doors[3].ports[1].set_pci_address("0000:ff:00.0");
  doors[1].ports.pop_back();
  auto warnings = RailWarnings(nodes);
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_EQ(warnings[0], "n1 has 1 rails, most nodes have 2");
  EXPECT_EQ(warnings[1], "n3: rail 0 has PCI address 0000:ff:00.0, on most nodes it is 0000:10:00.0");
  EXPECT_EQ(warnings[2], "n2: rail 1 has link rate 100 Gb/s, on most nodes it is 400 Gb/s");
}

TEST(RailCheck, NoRailsNoWarning) {
  DoorRecord a = NodeWithRails(0, 0), b = NodeWithRails(1, 0);
  EXPECT_TRUE(RailWarnings({{"a", &a}, {"b", &b}}).empty());
}

}  // namespace
}  // namespace netsense
