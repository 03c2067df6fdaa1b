// A device that is removed while sessions run: they end at once and let go of it, and the next ones find it when it is
// back. Nothing else notices.
#include <atomic>

#include "tests/provider/verbs_session.h"
#include "transports/tcp/factory.h"

namespace netsense::provider {
namespace {

class VerbsRemoval : public VerbsSession, public testing::WithParamInterface<Removal> {
 protected:
  // Until every session has let go, as `rdma link delete` waits: they look every 250 ms.
  void RemoveAndAwaitUnused(const std::string& device) {
    const pace::Stopwatch watch;
    fabric_.Remove(device, GetParam());
    EXPECT_TRUE(fabric_.AwaitUnused(device, Patience())) << "somebody keeps " << device;
    EXPECT_TRUE(watch.Within(milliseconds(1000))) << "somebody kept " << device;
  }
  // What is said of a device that was taken away depends on what is seen first: its event or its entry.
  static void ExpectRemoved(const absl::Status& status) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    const bool named = status.message().find("was removed") != std::string::npos ||
                       status.message().find("mlx5_0 reports") != std::string::npos;
    EXPECT_TRUE(named) << status;
  }
};

INSTANTIATE_TEST_SUITE_P(Both, VerbsRemoval, testing::Values(Removal::kUnderItsUsers, Removal::kOnceUnused),
                         [](const auto& way) {
                           return way.param == Removal::kUnderItsUsers ? "UnderItsUsers" : "OnceUnused";
                         });

TEST_P(VerbsRemoval, InMidPing) {
  for (v1::WaitMode wait_mode : {v1::WAIT_MODE_BLOCK, v1::WAIT_MODE_BUSY_POLL}) {
    auto session = Open(Request(v1::SESSION_PURPOSE_PING, "write", wait_mode));
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_TRUE(Ping(**session).ok());
    fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kLoseReceived, .nth = 2});
    auto pinging = std::async(std::launch::async, [&] {
      absl::Status status = Ping(**session);
      session->reset();
      return status;
    });
    RemoveAndAwaitUnused("mlx5_0");
    ExpectRemoved(pinging.get());
    served_.get().IgnoreError();
    ExpectNothingLeft();
    fabric_.ClearFaults();
    fabric_.Add(RoceDevice("mlx5_0", kProber));
  }
}

TEST_P(VerbsRemoval, InMidStream) {
  for (const char* mode : {"write", "read"}) {
    for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
      SCOPED_TRACE(std::string(mode) + (direction == Direction::kToPeer ? " to the peer" : " from the peer"));
      auto session = Open(Streams(mode));
      ASSERT_TRUE(session.ok()) << session.status();
      auto streaming = std::async(std::launch::async, [&] {
        auto sample = (*session)->Stream({.direction = direction, .duration = 2 * Patience()}, Soon(), {});
        session->reset();
        return sample.status();
      });
      RemoveAndAwaitUnused("mlx5_0");
      ExpectRemoved(streaming.get());
      served_.get().IgnoreError();
      ExpectNothingLeft();
      fabric_.Add(RoceDevice("mlx5_0", kProber));
    }
  }
}

// A responder lets go although its prober asks for nothing.
TEST_P(VerbsRemoval, OfTheRespondersDevice) {
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(Ping(**session).ok());
  RemoveAndAwaitUnused("mlx5_1");
  served_.get().IgnoreError();
  EXPECT_TRUE(absl::IsUnavailable(Ping(**session)));
  session->reset();
  ExpectNothingLeft();
  auto gone = Open(Pings());
  EXPECT_TRUE(absl::IsUnavailable(gone.status())) << gone.status();
  EXPECT_TRUE(absl::IsUnavailable(served_.get()));
  fabric_.Add(RoceDevice("mlx5_1", kResponder));
  auto back = Open(Pings());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(Ping(**back).ok());
}

// As an engine does it: a session is opened when there is a device, and opened anew when it was lost. Beside it tcp,
// which must not lose one ping.
TEST_P(VerbsRemoval, TwentyTimesInARowAndTcpBesideItLosesNothing) {
  constexpr int kRounds = 20;
  std::atomic<uint64_t> measured = 0;
  std::jthread verbs([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      Ends ends = ConnectEnds();
      Served served = Serve(std::move(ends.responder), Pings());
      auto session = Connect(std::move(ends.prober), Pings());
      while (session.ok() && !stop.stop_requested() && Ping(**session).ok()) ++measured;
      session = absl::UnavailableError("");
      served.get().IgnoreError();
    }
  });
  std::atomic<uint64_t> answered = 0, lost = 0;
  std::jthread tcp([&](const std::stop_token& stop) {
    const auto transport = MakeTcpTransport();
    v1::OpenSession request = Pings();
    request.set_transport("tcp");
    request.mutable_options()->clear_mode();
    Ends ends = ConnectEnds();
    auto served = std::async(std::launch::async, [&, fd = std::move(ends.responder)]() mutable {
      return transport->Serve(Through(std::move(fd), request), {}, {});
    });
    auto session = transport->Connect(Through(std::move(ends.prober), request), Soon(), {});
    while (session.ok() && !stop.stop_requested()) ++(Ping(**session).ok() ? answered : lost);
    if (!session.ok()) ++lost;
    session = absl::UnavailableError("");
    served.get().IgnoreError();
  });
  auto progresses = [&](const std::atomic<uint64_t>& count) {
    const uint64_t before = count;
    const MonotonicTime end = Soon();
    while (count < before + 2 && MonotonicNow() < end) std::this_thread::yield();
    return count >= before + 2;
  };
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(progresses(measured)) << "round " << round << ": not measured again";
    RemoveAndAwaitUnused("mlx5_0");
    fabric_.Add(RoceDevice("mlx5_0", kProber));
  }
  EXPECT_TRUE(progresses(measured));
  EXPECT_TRUE(progresses(answered));
  verbs.request_stop();
  verbs.join();
  tcp.request_stop();
  tcp.join();
  EXPECT_EQ(lost, 0u);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace netsense::provider
