// Plans on real responders: cadence, leases, dead and frozen peers.
#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

#include "base/socket.h"
#include "tests/lab/pace.h"
#include "tests/unit/loopback_responder.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() {
    plan.set_plan_id("first");
    plan.set_self_node_id("self");
    plan.set_lease_ms(60'000);
    plan.set_rtt_window(5);
    plan.set_rtt_alpha(0.3);
    plan.set_bandwidth_window(3);
    plan.set_bandwidth_alpha(0.3);
    plan.set_ping_concurrency(2);
    plan.set_bandwidth_concurrency(1);
    peer.responder->SetNodeId("peer");
  }

  v1::PlannedPath* AddPath(const std::string& id, uint16_t port, uint32_t interval_ms = 100, uint32_t timeout_ms = 0) {
    v1::PlannedPath* path = plan.add_paths();
    path->set_path_id(id);
    path->set_transport("tcp");
    path->set_dst_node_id("peer");
    path->set_dst_address("127.0.0.1");
    path->set_dst_port(port);
    path->set_ping_interval_ms(interval_ms);
    path->set_ping_timeout_ms(timeout_ms != 0 ? timeout_ms : Scaled(500));
    path->set_ping_payload_bytes(64);
    return path;
  }
  v1::PlannedPath* AddGoodPath(const std::string& id, uint32_t interval_ms = 100) {
    return AddPath(id, peer.responder->port(), interval_ms);
  }

  v1::PathResult Result(const std::string& id) {
    for (v1::PathResult& result : scheduler.Collect(0).paths)
      if (result.path_id() == id) return result;
    return {};
  }
  static uint32_t Scaled(uint32_t ms) {
    return static_cast<uint32_t>(std::chrono::ceil<milliseconds>(pace::Scaled(milliseconds(ms))).count());
  }
  // Waits until `done` holds for the path.
  template <typename Predicate>
  v1::PathResult Await(const std::string& id, Predicate done) {
    const MonotonicTime deadline = pace::Soon();
    uint64_t seen = 0;
    while (true) {
      v1::PathResult result = Result(id);
      if (done(result)) return result;
      if (MonotonicNow() > deadline) {
        ADD_FAILURE() << "waited in vain: " << result.ShortDebugString();
        return result;
      }
      scheduler.WaitForNews(seen, milliseconds(200), {});
      seen = scheduler.Collect(1).version;
    }
  }

  LoopbackResponder peer{"secret"};
  v1::Plan plan;
  ProbeContext context{&peer.transports, &prober_gate, "secret"};
  PortGate prober_gate{{.unlimited = true}};
  Scheduler scheduler{&context};
};

TEST_F(SchedulerTest, MeasuresAtTheInterval) {
  AddGoodPath("a", 100);
  MonotonicTime start = MonotonicNow();
  scheduler.Apply(plan);
  v1::PathResult result = Await("a", [](const auto& r) { return r.pings_sent() >= 11; });
  EXPECT_GE(MonotonicNow() - start, milliseconds(1000 - 20));
  EXPECT_EQ(result.state(), v1::PATH_STATE_OK);
  EXPECT_EQ(result.rtt().samples(), 5u);
  EXPECT_EQ(result.fabric(), v1::FABRIC_KIND_LOOPBACK);
  EXPECT_EQ(result.source_port(), "lo");
  EXPECT_EQ(result.peer_version(), NETSENSE_VERSION);
}

TEST_F(SchedulerTest, DeadPeersMakeNobodyLate) {
  // A listener that never accepts: connections are made, and no hello is ever answered.
  auto frozen = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(frozen.ok());
  AddGoodPath("good", 100);
  const pace::Stopwatch watch;
  for (int i = 0; i < 20; ++i) AddPath("dead" + std::to_string(i), LocalPort(frozen->get()), 100, 2000);
  scheduler.Apply(plan);
  v1::PathResult good = Await("good", [](const auto& r) { return r.pings_sent() >= 15; });
  EXPECT_EQ(good.pings_lost(), 0u);
  // Twenty peers that each hold a place for 2 s would make it 20 s late; lending takes the worst case to some tens of
  // milliseconds.
  EXPECT_TRUE(watch.Within(milliseconds(500), milliseconds(scheduler.max_ping_lateness_ms())));
  v1::PathResult dead = Await("dead7", [](const auto& r) { return r.pings_lost() >= 1; });
  EXPECT_EQ(dead.state(), v1::PATH_STATE_UNREACHABLE);
}

TEST_F(SchedulerTest, ARefusedConnectionIsUnreachableAndAWrongNodeToo) {
  auto closed = ListenTcp({"127.0.0.1"}, 0);
  AddPath("closed", LocalPort(closed->get()));
  closed->Reset();
  AddGoodPath("impostor")->set_dst_node_id("somebody else");
  scheduler.Apply(plan);
  EXPECT_EQ(Await("closed", [](const auto& r) { return r.pings_sent() >= 1; }).state(), v1::PATH_STATE_UNREACHABLE);
  v1::PathResult impostor = Await("impostor", [](const auto& r) { return r.pings_sent() >= 1; });
  EXPECT_EQ(impostor.state(), v1::PATH_STATE_UNREACHABLE);
  EXPECT_THAT(impostor.reason(), testing::HasSubstr("this is node peer"));
}

TEST_F(SchedulerTest, AWrongTokenIsRefused) {
  LoopbackResponder stranger("another secret");
  AddPath("stranger", stranger.responder->port());
  scheduler.Apply(plan);
  v1::PathResult result = Await("stranger", [](const auto& r) { return r.pings_sent() >= 1; });
  EXPECT_EQ(result.state(), v1::PATH_STATE_REFUSED);
  EXPECT_THAT(result.reason(), testing::HasSubstr("token"));
}

TEST_F(SchedulerTest, StopsWhenTheLeaseEnds) {
  AddGoodPath("a");
  plan.set_lease_ms(Scaled(400));
  scheduler.Apply(plan);
  Await("a", [](const auto& r) { return r.pings_sent() >= 1; });
  EXPECT_FALSE(scheduler.Renew("another plan", seconds(10)));
  ASSERT_TRUE(pace::Eventually([&] { return !scheduler.lease().in_force; }));
  EXPECT_EQ(scheduler.lease().expired, 1u);
  EXPECT_FALSE(scheduler.Renew("first", seconds(10))) << "a lease that ended needs the plan again";
  uint64_t sent = Result("a").pings_sent();
  scheduler.WaitForNews(UINT64_MAX, milliseconds(500), {});  // five intervals
  EXPECT_LE(Result("a").pings_sent(), sent + 1);
  scheduler.Apply(plan);
  Await("a", [&](const auto& r) { return r.pings_sent() >= sent + 2; });
}

TEST_F(SchedulerTest, RenewalsKeepItGoing) {
  AddGoodPath("a");
  plan.set_lease_ms(Scaled(500));
  scheduler.Apply(plan);
  ASSERT_TRUE(scheduler.Renew("first", std::chrono::minutes(1)));
  const MonotonicTime first_end = In(milliseconds(Scaled(500)));
  Await("a", [&](const auto&) { return MonotonicNow() > first_end; });
  EXPECT_TRUE(scheduler.lease().in_force);
  EXPECT_EQ(scheduler.lease().expired, 0u);
}

TEST_F(SchedulerTest, ANewPlanKeepsWhatItKnowsOfPathsThatStay) {
  AddGoodPath("stays");
  AddGoodPath("goes");
  scheduler.Apply(plan);
  Await("stays", [](const auto& r) { return r.pings_sent() >= 3; });
  plan.set_plan_id("second");
  plan.clear_paths();
  AddGoodPath("stays");
  AddGoodPath("comes");
  uint64_t sessions = peer.responder->counters().sessions_granted;
  scheduler.Apply(plan);
  EXPECT_GE(Result("stays").pings_sent(), 3u);
  EXPECT_EQ(Result("goes").path_id(), "");
  Await("comes", [](const auto& r) { return r.state() == v1::PATH_STATE_OK; });
  Await("stays", [](const auto& r) { return r.pings_sent() >= 6; });
  EXPECT_EQ(peer.responder->counters().sessions_granted, sessions + 1) << "the path that stays kept its session";
}

TEST_F(SchedulerTest, APathWithOtherOptionsIsAnotherPath) {
  AddGoodPath("same");
  AddGoodPath("changed");
  scheduler.Apply(plan);
  for (const char* id : {"same", "changed"}) Await(id, [](const auto& r) { return r.pings_sent() >= 3; });
  plan.set_plan_id("second");
  (*plan.mutable_paths(1)->mutable_options()->mutable_values())["traffic-class"] = "184";
  const uint64_t sessions = peer.responder->counters().sessions_granted;
  scheduler.Apply(plan);
  EXPECT_GE(Result("same").pings_sent(), 3u);
  Await("changed", [](const auto& r) { return r.state() == v1::PATH_STATE_OK && r.pings_sent() >= 1; });
  EXPECT_EQ(peer.responder->counters().sessions_granted, sessions + 1) << "its session was opened anew";
}

TEST_F(SchedulerTest, ComesBackAfterThePeerRestarts) {
  auto second_life = std::make_unique<LoopbackResponder>("secret");
  second_life->responder->SetNodeId("peer");
  uint16_t port = second_life->responder->port();
  AddPath("a", port, 100, Scaled(200));
  scheduler.Apply(plan);
  Await("a", [](const auto& r) { return r.state() == v1::PATH_STATE_OK; });
  second_life.reset();
  Await("a", [](const auto& r) { return r.state() == v1::PATH_STATE_UNREACHABLE; });
  ResponderOptions options;
  options.door.port = port;
  second_life = std::make_unique<LoopbackResponder>("secret", options);
  second_life->responder->SetNodeId("peer");
  Await("a", [](const auto& r) { return r.state() == v1::PATH_STATE_OK; });
}

TEST_F(SchedulerTest, MeasuresBandwidthInItsSlotOnly) {
  auto slots = [](v1::PlannedPath* path, uint32_t slot) {
    path->set_bandwidth_slot_ms(200);
    path->set_bandwidth_slots(5);
    path->set_bandwidth_slot(slot);
    path->set_bandwidth_bytes(1 << 20);
    path->set_bandwidth_timeout_ms(Scaled(1000));
  };
  slots(AddGoodPath("a"), 0);
  slots(AddGoodPath("b"), 2);
  const MonotonicTime start = MonotonicNow();
  scheduler.Apply(plan);
  v1::PathResult a = Await("a", [](const auto& r) { return r.bandwidth_probes() >= 2; });
  v1::PathResult b = Await("b", [](const auto& r) { return r.bandwidth_probes() >= 2; });
  const double rounds =
      std::chrono::duration<double>(MonotonicNow() - start).count() + 2;  // the first and the last in part
  EXPECT_GT(a.bandwidth().p50(), 1e6) << "or it would have been given up";
  EXPECT_LE(static_cast<double>(a.bandwidth_probes()), rounds) << "one probe a round of a second";
  EXPECT_GT(b.bandwidth().samples(), 0u);
}

TEST_F(SchedulerTest, ABusyPortIsTriedAgainAndCounted) {
  v1::PlannedPath* path = AddGoodPath("a");
  path->set_bandwidth_slot_ms(1000);
  path->set_bandwidth_slots(1);
  path->set_bandwidth_bytes(1 << 20);
  path->set_bandwidth_timeout_ms(1000);
  auto taken = prober_gate.TryEnter("lo", 0, 1);
  ASSERT_TRUE(taken.ok());
  scheduler.Apply(plan);
  Await("a", [](const auto& r) { return r.bandwidth_busy() >= 3; });
  EXPECT_EQ(Result("a").bandwidth_probes(), 0u);
  { auto given_back = *std::move(taken); }
  Await("a", [](const auto& r) { return r.bandwidth().samples() >= 1; });
}

TEST_F(SchedulerTest, WithdrawsWhenThePlanIsEmpty) {
  AddGoodPath("a");
  scheduler.Apply(plan);
  Await("a", [](const auto& r) { return r.pings_sent() >= 1; });
  plan.set_plan_id("empty");
  plan.clear_paths();
  scheduler.Apply(plan);
  EXPECT_TRUE(scheduler.Collect(0).paths.empty());
  EXPECT_TRUE(scheduler.lease().in_force);
}

TEST_F(SchedulerTest, WhatAPathCountedStaysWhenThePathIsGone) {
  AddGoodPath("a");
  AddGoodPath("b");
  scheduler.Apply(plan);
  for (const char* id : {"a", "b"}) Await(id, [](const auto& result) { return result.pings_sent() >= 2; });
  plan.set_plan_id("second");
  plan.mutable_paths()->DeleteSubrange(1, 1);
  scheduler.Apply(plan);
  auto results = scheduler.Collect(0);
  ASSERT_EQ(results.paths.size(), 1u);
  ASSERT_EQ(results.totals.size(), 1u) << "both were of one kind";
  EXPECT_GE(results.totals[0].pings_sent(), results.paths[0].pings_sent() + 2);
  EXPECT_GE(results.totals[0].rtt().count(), results.paths[0].rtt_histogram().count() + 2);
}

// Whoever may write the KV writes door records, and must not aim every engine.
class RailAddresses : public SchedulerTest {
 protected:
  RailAddresses() {
    ResponderOptions options;
    options.door.more_hosts = {kNamed};
    node = std::make_unique<LoopbackResponder>("secret", std::move(options));
    node->responder->SetNodeId("peer");
  }
  v1::PlannedPath* AddPathTo(const std::string& id, const std::string& address) {
    v1::PlannedPath* path = AddPath(id, node->responder->port());
    path->set_dst_address(address);
    path->set_node_address("127.0.0.1");
    return path;
  }
  // A stranger who would be dialled.
  UniqueFd ListenAt(const std::string& address) const {
    auto listener = ListenTcp({.address = address}, node->responder->port());
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }
  static bool WasDialled(const UniqueFd& listener) {
    return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)).get() >= 0;
  }

  static constexpr char kNamed[] = "127.0.0.3", kNotNamed[] = "127.0.0.4";
  std::unique_ptr<LoopbackResponder> node;
};

TEST_F(RailAddresses, AreDialledOnceTheNodeHasNamedThemAtItsOwn) {
  const UniqueFd stranger = ListenAt(kNotNamed);
  AddPathTo("own", "127.0.0.1");
  AddPathTo("named", kNamed);
  AddPathTo("not named", kNotNamed);
  scheduler.Apply(plan);
  Await("named", [](const auto& result) { return result.state() == v1::PATH_STATE_OK; });
  const auto refused = Await("not named", [](const auto& r) { return r.state() == v1::PATH_STATE_REFUSED; });
  EXPECT_EQ(refused.reason(),
            "not dialled: the door record of this node names 127.0.0.4, which the node itself does not");
  EXPECT_EQ(refused.pings_sent(), 0u) << "and nothing was lost, for nothing was sent";
  const uint64_t answered = Result("own").pings_sent();
  Await("own", [&](const auto& result) { return result.pings_sent() > answered + 3; });
  EXPECT_FALSE(WasDialled(stranger));
}

TEST_F(RailAddresses, AreNotDialledWhileTheNodesOwnIsSilent) {
  const UniqueFd silent = ListenAt("127.0.0.5");
  v1::PlannedPath* own = AddPathTo("own", "127.0.0.5");
  own->set_node_address("127.0.0.5");
  own->set_ping_timeout_ms(50);
  AddPathTo("named", kNamed)->set_node_address("127.0.0.5");
  scheduler.Apply(plan);
  Await("own", [](const auto& result) { return result.pings_lost() >= 1; });
  const auto waits = Await("named", [](const auto& r) { return r.reason() != "not measured yet"; });
  EXPECT_EQ(waits.state(), v1::PATH_STATE_UNKNOWN);
  EXPECT_EQ(waits.reason(),
            "not dialled yet: whether 127.0.0.3 is this node's, it says at 127.0.0.5 alone, which has not answered");
}

// A real failure: the management network is cut, the rails are not.
TEST_F(RailAddresses, StayDialledWhenTheNodesOwnFallsSilent) {
  AddPathTo("own", "127.0.0.1");
  AddPathTo("named", kNamed);
  scheduler.Apply(plan);
  Await("named", [](const auto& result) { return result.state() == v1::PATH_STATE_OK; });
  plan.set_plan_id("second");
  plan.mutable_paths(0)->set_dst_address("127.0.0.6");  // where nobody listens
  for (v1::PlannedPath& path : *plan.mutable_paths()) path.set_node_address("127.0.0.6");
  scheduler.Apply(plan);
  Await("own", [](const auto& result) { return result.state() == v1::PATH_STATE_UNREACHABLE; });
  const uint64_t answered = Result("named").pings_sent();
  const auto on = Await("named", [&](const auto& result) { return result.pings_sent() > answered + 3; });
  EXPECT_EQ(on.state(), v1::PATH_STATE_OK);
}

}  // namespace
}  // namespace netsense
