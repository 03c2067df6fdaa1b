#include "raylet_bridge/records/inventory_record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "synthetic_cluster.h"

namespace netsense {
namespace {

const std::string kA(56, 'a');

TEST(InventoryRecord, SaysWhatTheEngineFoundUnderTheNamesOfTheProto) {
  const v1::EngineInfo info = SyntheticCluster({.nodes = 1, .rails = 2}).Inventory(0);
  const auto read = ParseInventory(InventoryToJson(kA, info), kA);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 4u);
  EXPECT_EQ((*read)["ports"].size(), 3u);
  EXPECT_EQ((*read)["ports"][1]["rdma_device"], "mlx5_0");
  EXPECT_EQ((*read)["ports"][1]["fabric"], "FABRIC_KIND_INFINIBAND");
  EXPECT_EQ((*read)["ports"][2]["rail"], 1);
  EXPECT_EQ((*read)["gpus"].size(), 8u);
  EXPECT_EQ((*read)["gpus"][0]["nearest_port"], "mlx5_0");
  EXPECT_EQ((*read)["numa_nodes"][1]["cpus"], "56-111");
  EXPECT_EQ((*read)["inventory_notes"][0], "this machine is made up");
}

TEST(InventoryRecord, AnEmptyMachineHasEmptyLists) {
  const auto read = ParseInventory(InventoryToJson(kA, {}), kA);
  ASSERT_TRUE(read.ok()) << read.status();
  for (const char* name : {"ports", "gpus", "numa_nodes", "inventory_notes"})
    EXPECT_EQ((*read)[name], nlohmann::ordered_json::array());
}

TEST(InventoryRecord, IsBoundedHoweverLargeTheMachine) {
  v1::EngineInfo info = SyntheticCluster({.nodes = 1}).Inventory(0);
  for (int i = 0; i < 20'000; ++i) info.mutable_ports(0)->add_gids()->set_gid("fe80::0102:03ff:fe04:0506");
  std::string json = InventoryToJson(kA, info);
  EXPECT_LE(json.size(), 256u << 10);
  auto read = ParseInventory(json, kA);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)["gpus"].size(), 8u) << "only the GIDs are left out";
  for (int i = 0; i < 20'000; ++i) info.add_gpus()->set_name("GPU of a very large machine");
  json = InventoryToJson(kA, info);
  EXPECT_LE(json.size(), 256u << 10);
  read = ParseInventory(json, kA);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)["gpus"].size(), 0u);
  EXPECT_NE((*read)["inventory_notes"][0].get<std::string>().find("bytes"), std::string::npos);
}

TEST(InventoryRecord, WhatOthersWroteIsReadWithCare) {
  const std::string head = R"({"schema_version":1,"node_id":")" + kA + "\"";
  auto parse = [&](const std::string& rest) { return ParseInventory(head + rest, kA); };
  EXPECT_TRUE(parse("}").ok());
  EXPECT_FALSE(ParseInventory("{", kA).ok());
  EXPECT_FALSE(ParseInventory(head + "}", std::string(56, 'b')).ok()) << "another node's";
  EXPECT_FALSE(parse(",\"ports\":[{\"name\":7e400}]}").ok());
  EXPECT_FALSE(parse(",\"inventory_notes\":[{}]}").ok());
  const auto deep = parse(",\"ports\":[" + std::string(100'000, '[') + std::string(100'000, ']') + "]}");
  EXPECT_TRUE(!deep.ok() || (*deep)["ports"].size() <= 1) << "and it ends";
  EXPECT_FALSE(parse(",\"inventory_notes\":[\"" + std::string(300 << 10, 'x') + "\"]}").ok());
  const auto read = parse(R"(,"ports":[{"name":"<b>","of_the_future":{"x":1}}],"pid":7,"door_address":"10.0.0.1"})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 4u) << "nothing but an inventory";
  EXPECT_EQ((*read)["ports"][0], (nlohmann::ordered_json{{"name", "<b>"}}));
}

}  // namespace
}  // namespace netsense
