#include "engine/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace netsense {
namespace {

v1::Plan GoodPlan() {
  v1::Plan plan;
  plan.set_plan_id("p");
  plan.set_lease_ms(6000);
  plan.set_rtt_window(5);
  plan.set_rtt_alpha(0.3);
  plan.set_bandwidth_window(3);
  plan.set_bandwidth_alpha(0.3);
  plan.set_ping_concurrency(2);
  plan.set_bandwidth_concurrency(1);
  v1::PlannedPath* path = plan.add_paths();
  path->set_path_id("a/tcp");
  path->set_transport("tcp");
  path->set_dst_address("10.0.0.2");
  path->set_dst_port(18590);
  path->set_ping_interval_ms(2000);
  path->set_ping_timeout_ms(500);
  path->set_ping_payload_bytes(64);
  path->set_bandwidth_slot_ms(1000);
  path->set_bandwidth_slots(4);
  path->set_bandwidth_slot(1);
  path->set_bandwidth_bytes(1 << 20);
  path->set_bandwidth_timeout_ms(1000);
  return plan;
}

TEST(Limits, LeaveAGoodPlanAlone) {
  auto clamped = ClampPlan(GoodPlan(), DefaultLimits());
  ASSERT_TRUE(clamped.ok()) << clamped.status();
  EXPECT_THAT(clamped->clamped, testing::IsEmpty());
  EXPECT_EQ(clamped->plan.SerializeAsString(), GoodPlan().SerializeAsString());
}

TEST(Limits, ClampAFloodAndSaySo) {
  v1::Plan plan = GoodPlan();
  plan.mutable_paths(0)->set_ping_interval_ms(1);
  plan.mutable_paths(0)->set_ping_payload_bytes(std::numeric_limits<uint32_t>::max());
  plan.mutable_paths(0)->set_bandwidth_bytes(std::numeric_limits<uint64_t>::max());
  plan.mutable_paths(0)->set_bandwidth_slot_ms(1);
  plan.set_lease_ms(std::numeric_limits<uint32_t>::max());
  auto clamped = ClampPlan(plan, DefaultLimits());
  ASSERT_TRUE(clamped.ok()) << clamped.status();
  const v1::PlannedPath& path = clamped->plan.paths(0);
  EXPECT_EQ(path.ping_interval_ms(), DefaultLimits().min_ping_interval_ms());
  EXPECT_EQ(path.ping_payload_bytes(), DefaultLimits().max_ping_payload_bytes());
  EXPECT_EQ(path.bandwidth_bytes(), DefaultLimits().max_stream_bytes());
  EXPECT_GE(path.bandwidth_slot_ms() * path.bandwidth_slots(), DefaultLimits().min_bandwidth_interval_ms());
  EXPECT_EQ(clamped->plan.lease_ms(), DefaultLimits().max_lease_ms());
  EXPECT_THAT(clamped->clamped, testing::Contains("path a/tcp: ping_interval_ms 1 -> 100"));
  EXPECT_EQ(clamped->clamped.size(), 6u);
}

TEST(Limits, RefuseWhatHasNoMeaning) {
  auto refused = [](auto change) {
    v1::Plan plan = GoodPlan();
    change(plan);
    return ClampPlan(plan, DefaultLimits()).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.clear_plan_id(); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { *plan.add_paths() = plan.paths(0); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.mutable_paths(0)->set_dst_port(70000); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.mutable_paths(0)->clear_dst_address(); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.mutable_paths(0)->set_bandwidth_slot(4); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.set_rtt_alpha(0); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) { plan.set_rtt_alpha(std::numeric_limits<double>::quiet_NaN()); }));
  EXPECT_TRUE(refused([](v1::Plan& plan) {
    for (uint32_t i = 0; i <= DefaultLimits().max_paths(); ++i) plan.add_paths()->set_path_id(std::to_string(i));
  }));
}

}  // namespace
}  // namespace netsense
