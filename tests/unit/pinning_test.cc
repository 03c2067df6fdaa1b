#include "engine/pinning.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "engine/inventory/cpu_list.h"
#include "engine/inventory/hwloc_topology.h"

namespace netsense {
namespace {

// Two NUMA nodes of four processors each, by hwloc's own synthetic description.
std::vector<inventory::NumaNode> TwoNodes() {
  hwloc_topology_t raw = nullptr;
  hwloc_topology_init(&raw);
  inventory::HwlocTopology topology(raw);
  hwloc_topology_set_synthetic(raw, "package:2 [numa(memory=1GB)] core:4 pu:1");
  EXPECT_EQ(hwloc_topology_load(raw), 0);
  return inventory::ReadNumaNodes(raw);
}

v1::Port PortAt(int numa_node) {
  v1::Port port;
  port.set_name("mlx5_1");
  port.set_numa_node(numa_node);
  return port;
}

const std::vector<int> kAll{0, 1, 2, 3, 4, 5, 6, 7};

TEST(PlanBinding, TheNodeOfThePort) {
  for (int node : {0, 1}) {
    v1::Binding binding = PlanBinding(TwoNodes(), kAll, PortAt(node), {});
    EXPECT_EQ(binding.cpus(), node == 0 ? "0-3" : "4-7");
    EXPECT_EQ(binding.memory_node(), node);
    EXPECT_NE(binding.reason().find("mlx5_1"), std::string::npos);
  }
}

TEST(PlanBinding, OnlyWhatTheProcessMayUse) {
  EXPECT_EQ(PlanBinding(TwoNodes(), {2, 3, 4}, PortAt(1), {}).cpus(), "4");
  v1::Binding nowhere = PlanBinding(TwoNodes(), {0, 1}, PortAt(1), {});
  EXPECT_EQ(nowhere.cpus(), "");
  EXPECT_FALSE(nowhere.has_memory_node());
  EXPECT_NE(nowhere.reason().find("none of its processors"), std::string::npos) << nowhere.reason();
}

TEST(PlanBinding, WhatIsNotKnownIsNotGuessed) {
  v1::Port lo;
  lo.set_name("lo");
  EXPECT_EQ(PlanBinding(TwoNodes(), kAll, lo, {}).cpus(), "");
  EXPECT_NE(PlanBinding(TwoNodes(), kAll, lo, {}).reason().find("nobody knows"), std::string::npos);
  EXPECT_EQ(PlanBinding(TwoNodes(), kAll, PortAt(8), {}).cpus(), "");
}

TEST(PlanBinding, ByHandBeatsThePort) {
  v1::Binding binding = PlanBinding(TwoNodes(), kAll, PortAt(0), {5, 6});
  EXPECT_EQ(binding.cpus(), "5-6");
  EXPECT_EQ(binding.memory_node(), 1);
  EXPECT_FALSE(PlanBinding(TwoNodes(), kAll, PortAt(0), {3, 4}).has_memory_node()) << "of two nodes";
}

TEST(Pinning, ForeignProcessorsAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(Pinning::Create({.cpus = "60000"}).status()));
}

TEST(Pinning, TurnedOffSaysSo) {
  auto pinning = Pinning::Create({.enabled = false});
  ASSERT_TRUE(pinning.ok());
  EXPECT_EQ((*pinning)->Plan(PortAt(0)).cpus(), "");
  EXPECT_NE((*pinning)->Plan(PortAt(0)).reason().find("turned off"), std::string::npos);
}

int CpusOfThisThread() {
  cpu_set_t cpus;
  EXPECT_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
  return CPU_COUNT(&cpus);
}

int NodeOf(void* page) {
  int node = -1;
  EXPECT_EQ(syscall(SYS_move_pages, 0, 1ul, &page, nullptr, &node, 0), 0);
  return node;
}

// On the real machine: the thread and its new memory are where the binding says, and it can be undone.
TEST(Pinning, TheThreadAndItsMemoryAreWhereItSays) {
  auto pinning = Pinning::Create({});
  ASSERT_TRUE(pinning.ok());
  const int before = CpusOfThisThread();
  v1::Binding binding = (*pinning)->Plan(PortAt(0));
  ASSERT_NE(binding.cpus(), "") << binding.reason();
  // One processor of those, so that the affinity differs from the process's own on any machine with two.
  auto planned = inventory::ParseCpuList(binding.cpus());
  binding.set_cpus(std::to_string(planned->back()));
  std::thread([&] {
    (*pinning)->Apply(binding);
    EXPECT_EQ(CpusOfThisThread(), 1);
    EXPECT_EQ(sched_getcpu(), planned->back());
    if (binding.has_memory_node()) {
      std::vector<char> buffer(1 << 20, 1);
      EXPECT_EQ(NodeOf(buffer.data() + (1 << 19)), binding.memory_node());
    }
    (*pinning)->Apply({});
    EXPECT_EQ(CpusOfThisThread(), before);
  }).join();
  EXPECT_EQ(CpusOfThisThread(), before) << "another thread's binding is its own";
}

}  // namespace
}  // namespace netsense
