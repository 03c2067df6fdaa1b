// Opening a session when something is short or fails: it fails cleanly, nothing is left behind, and the next one works.
#include "tests/provider/verbs_session.h"

namespace netsense::provider {
namespace {

using VerbsOpen = VerbsSession;

TEST_F(VerbsOpen, NothingIsLeftOfASession) {
  for (const char* mode : {"write", "read"}) {
    auto session = Open(Streams(mode));
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_TRUE(Ping(**session).ok());
    EXPECT_EQ((*session)->details().device, "mlx5_0:1 gid 0");
    const Objects objects = fabric_.objects();
    EXPECT_EQ(objects.contexts, 2u);
    EXPECT_EQ(objects.pairs, 2u);
    session->reset();
    EXPECT_TRUE(served_.get().ok());
    ExpectNothingLeft();
  }
}

// Every call of both ends fails once, the first, the second, and so on until all of them have.
TEST_F(VerbsOpen, AFailureAtAnyPointLeavesNothingBehind) {
  for (v1::SessionPurpose purpose : {v1::SESSION_PURPOSE_PING, v1::SESSION_PURPOSE_STREAM}) {
    for (int error : {ENOMEM, EIO, EPERM}) {
      int point = 0, failed = 0;
      while (true) {
        ASSERT_LT(++point, 200) << "opening never gets through";
        fabric_.Inject(CallFault{.nth = point, .error = error});
        auto session = Open(Request(purpose));
        if (session.ok()) {
          EXPECT_TRUE(Ping(**session).ok()) << "failed point " << point;
        } else {
          ++failed;
        }
        session = absl::UnavailableError("");
        const absl::Status served = served_.get();
        ExpectNothingLeft();
        if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "failed point " << point << ": " << served;
        if (fabric_.ClearFaults() == 1) break;
      }
      EXPECT_GE(failed, 15) << "hardly anything of both ends' opening was tried";
    }
  }
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(Ping(**session).ok());
}

// Shortage of any kind refuses the one session too many, and none of those that are open; the place of one that ends is
// free at once. What the refusal is called is not judged here.
TEST_F(VerbsOpen, AShortageRefusesOnlyTheSessionTooMany) {
  const std::vector<Limits> shortages = {{.contexts = 2}, {.domains = 2}, {.regions = 4}, {.queues = 2}, {.pairs = 2}};
  for (const Limits& limits : shortages) {
    fabric_.SetLimits("mlx5_0", limits);
    auto first = Open(Pings());
    Served first_served = std::move(served_);
    auto second = Open(Pings());
    Served second_served = std::move(served_);
    ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
    EXPECT_FALSE(Open(Pings()).ok());
    served_.get().IgnoreError();
    EXPECT_TRUE(Ping(**first).ok());
    EXPECT_TRUE(Ping(**second).ok());
    second->reset();
    EXPECT_TRUE(second_served.get().ok());
    auto third = Open(Pings());
    ASSERT_TRUE(third.ok()) << "its place is free again: " << third.status();
    EXPECT_TRUE(Ping(**third).ok());
    first->reset();
    third->reset();
    ExpectNothingLeft();
  }
}

TEST_F(VerbsOpen, ALimitOfLockedMemoryIsNamed) {
  fabric_.SetLimits("mlx5_0", {.locked_bytes = 64 << 10});
  auto session = Open(Streams());
  EXPECT_TRUE(absl::IsInternal(session.status())) << "ours, and no refusal of the peer's: " << session.status();
  EXPECT_NE(session.status().message().find("ulimit -l"), std::string::npos) << session.status();
  fabric_.SetLimits("mlx5_0", {});
  session = Open(Streams());
  EXPECT_TRUE(session.ok()) << session.status();
}

TEST_F(VerbsOpen, ADeviceThatCannotBeOpenedForWantOfMemoryIsOurShortage) {
  fabric_.SetLimits("mlx5_0", {.contexts = 0});
  auto session = Open(Pings());
  EXPECT_TRUE(absl::IsInternal(session.status())) << session.status();
  EXPECT_NE(session.status().message().find("this host gives no more"), std::string::npos) << session.status();
}

// As of a device that takes less: the frames go without.
TEST_F(VerbsOpen, ADeviceWithLittleOrNoInlineDataIsUsedAsItIs) {
  for (uint32_t inline_bytes : {64u, 0u}) {
    fabric_.SetLimits("mlx5_0", {.inline_bytes = inline_bytes});
    auto session = Open(Pings());
    ASSERT_TRUE(session.ok()) << session.status();
    for (uint32_t bytes : {0u, 32u, 200u, 4096u}) EXPECT_TRUE(Ping(**session, bytes).ok()) << bytes;
  }
}

TEST_F(VerbsOpen, APathMtuIsTheSmallerOfBothPorts) {
  fabric_.Remove("mlx5_1", Removal::kUnderItsUsers);
  DeviceSpec small = RoceDevice("mlx5_1", kResponder);
  small.ports[0].mtu = IBV_MTU_1024;
  fabric_.Add(small);
  auto session = Open(Streams());
  ASSERT_TRUE(session.ok()) << session.status();
  for (Direction direction : {Direction::kToPeer, Direction::kFromPeer})
    EXPECT_TRUE((*session)->Stream({.direction = direction, .bytes = 1 << 20}, Soon(), {}).ok());
  EXPECT_EQ(fabric_.misuse().bad_calls, 0u);
}

TEST_F(VerbsOpen, InfinibandGoesByLid) {
  for (const char* name : {"mlx5_0", "mlx5_1"}) fabric_.Remove(name, Removal::kUnderItsUsers);
  uint16_t lid = 10;
  for (const char* name : {"mlx5_0", "mlx5_1"}) {
    DeviceSpec device = RoceDevice(name, "fe80::1");
    device.ports[0].infiniband = true;
    device.ports[0].lid = lid++;
    fabric_.Add(device);
  }
  v1::OpenSession request = Streams();
  request.mutable_options()->set_device("mlx5_0");
  request.mutable_options()->set_peer_device("mlx5_1:1");
  auto session = Open(request);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(Ping(**session).ok());
  EXPECT_TRUE((*session)->Stream({.direction = Direction::kToPeer, .bytes = 1 << 20}, Soon(), {}).ok());
}

}  // namespace
}  // namespace netsense::provider
