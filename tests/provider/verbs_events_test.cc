// What the device tells of itself while a session runs.
#include "tests/provider/verbs_session.h"

namespace netsense::provider {
namespace {

class VerbsEvents : public VerbsSession {
 protected:
  // A ping that is not answered before something ends it: the responder holds it until the test is over.
  absl::Status PingInterruptedBy(Session& session, const std::function<void()>& act) {
    auto pinging = std::async(std::launch::async, [&] { return Ping(session); });
    act();
    return pinging.get();
  }

  void ExpectOver(Session& session, const absl::Status& status, const std::string& says) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_NE(status.message().find(says), std::string::npos) << status;
    EXPECT_TRUE(absl::IsUnavailable(Ping(session))) << "the session is over";
  }
};

struct Fatal {
  const char* what;
  void (*happens)(Fabric&);
  const char* says;
};

const Fatal kFatal[] = {
    {"port error", [](Fabric& fabric) { fabric.SetPortState("mlx5_0", 1, IBV_PORT_DOWN); }, "port error"},
    {"own GID", [](Fabric& fabric) { fabric.SetGid("mlx5_0", 1, 0, {.address = "127.0.0.9"}); }, "GID table change"},
    {"LID", [](Fabric& fabric) { fabric.Raise("mlx5_0", IBV_EVENT_LID_CHANGE); }, "LID change"},
    {"device", [](Fabric& fabric) { fabric.Raise("mlx5_0", IBV_EVENT_DEVICE_FATAL); }, "local catastrophic error"},
    {"queue pair", [](Fabric& fabric) { fabric.BreakPairs("mlx5_0", IBV_EVENT_QP_FATAL); }, ""},
};

TEST_F(VerbsEvents, WhatIsFatalEndsASessionInMidPing) {
  for (const Fatal& fatal : kFatal) {
    for (bool busy_poll : {false, true}) {
      SCOPED_TRACE(fatal.what);
      Ends ends = ConnectEnds();
      const auto request =
          Request(v1::SESSION_PURPOSE_PING, "write", busy_poll ? v1::WAIT_MODE_BUSY_POLL : v1::WAIT_MODE_BLOCK);
      Served served = Serve(std::move(ends.responder), request);
      auto session = Connect(std::move(ends.prober), request);
      ASSERT_TRUE(session.ok()) << session.status();
      ASSERT_TRUE(Ping(**session).ok());
      // The next echo's completion is lost: that ping waits for whatever comes.
      fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kLoseReceived, .nth = 2});
      const absl::Status ended = PingInterruptedBy(**session, [&] { fatal.happens(fabric_); });
      ExpectOver(**session, ended, fatal.says);
      session->reset();
      served.get().IgnoreError();
      ExpectNothingLeft();
      fabric_.ClearFaults();
      fabric_.Remove("mlx5_0", Removal::kUnderItsUsers);
      fabric_.Add(RoceDevice("mlx5_0", kProber));
    }
  }
}

TEST_F(VerbsEvents, WhatIsFatalEndsASessionInMidStream) {
  for (const Fatal& fatal : kFatal) {
    for (const char* mode : {"write", "read"}) {
      for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
        SCOPED_TRACE(std::string(fatal.what) + " " + mode +
                     (direction == Direction::kToPeer ? " to the peer" : " from the peer"));
        auto session = Open(Streams(mode));
        ASSERT_TRUE(session.ok()) << session.status();
        auto streaming = std::async(std::launch::async, [&] {
          return (*session)->Stream({.direction = direction, .duration = 2 * Patience()}, Soon(), {}).status();
        });
        const pace::Stopwatch watch;
        fatal.happens(fabric_);
        ExpectOver(**session, streaming.get(), "");
        EXPECT_TRUE(watch.Within(milliseconds(1000))) << "what the device told was overlooked";
        session->reset();
        served_.get().IgnoreError();
        ExpectNothingLeft();
        fabric_.Remove("mlx5_0", Removal::kUnderItsUsers);
        fabric_.Add(RoceDevice("mlx5_0", kProber));
      }
    }
  }
}

TEST_F(VerbsEvents, WhatIsOnlyNewsEndsNothing) {
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  for (ibv_event_type event : {IBV_EVENT_PORT_ACTIVE, IBV_EVENT_SM_CHANGE, IBV_EVENT_CLIENT_REREGISTER})
    for (const char* device : {"mlx5_0", "mlx5_1"}) fabric_.Raise(device, event);
  fabric_.SetPortState("mlx5_0", 1, IBV_PORT_ACTIVE);
  // Whoever looks does so at least every 250 ms while it waits.
  const MonotonicTime end = MonotonicNow() + milliseconds(600);
  while (MonotonicNow() < end) ASSERT_TRUE(Ping(**session).ok());
}

// The responder's device: its session ends, and with it the prober's.
TEST_F(VerbsEvents, TheRespondersPortFailsInMidPing) {
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kLoseReceived, .nth = 2});
  const absl::Status ended = PingInterruptedBy(**session, [&] { fabric_.SetPortState("mlx5_1", 1, IBV_PORT_DOWN); });
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  session->reset();
  ExpectNothingLeft();
}

TEST_F(VerbsEvents, AnotherDevicesEventsEndNothing) {
  fabric_.Add(RoceDevice("mlx5_2", "127.0.0.3"));
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  fabric_.SetPortState("mlx5_2", 1, IBV_PORT_DOWN);
  fabric_.SetGid("mlx5_2", 1, 0, {.address = "127.0.0.4"});
  fabric_.Remove("mlx5_2", Removal::kUnderItsUsers);
  const MonotonicTime end = MonotonicNow() + milliseconds(600);
  while (MonotonicNow() < end) ASSERT_TRUE(Ping(**session).ok());
}

}  // namespace
}  // namespace netsense::provider
