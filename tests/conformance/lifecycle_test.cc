// Sessions come and go: one after the other, many at once, and both sides let go of them.
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "tests/conformance/footprint.h"
#include "tests/conformance/suite.h"

namespace netsense::conformance {
namespace {

TEST_P(Conformance, LifecycleFiftySessionsInARow) {
  Peer peer;
  for (int i = 0; i < 3 * deviations().cycles; ++i) {
    auto session = Open(peer, PingRequest());
    auto sample = Ping(*session);
    ASSERT_TRUE(sample.ok()) << "session " << i << ": " << sample.status();
    ASSERT_NO_FATAL_FAILURE(ExpectClosesPromptly(std::move(session)));
  }
}

TEST_P(Conformance, LifecycleSaysWhoAnswersAndByWhichWay) {
  Peer peer, other;
  auto session = Open(peer, PingRequest());
  EXPECT_NE(session->peer().incarnation(), 0u);
  EXPECT_EQ(session->peer().wait_mode(), GetParam().wait_mode);
  EXPECT_NE(session->peer().incarnation(), Open(other, PingRequest())->peer().incarnation());
  const std::string mode = session->details().mode;
  const auto modes = capabilities().modes;
  EXPECT_NE(std::find(modes.begin(), modes.end(), mode), modes.end()) << "'" << mode << "' is not listed";
  const std::string asked = GetParam().variant.options.mode();
  EXPECT_EQ(mode, asked.empty() ? modes.front() : asked);
}

TEST_P(Conformance, LifecycleTheDestructorClosesTheSessionOnBothSides) {
  Peer peer;
  auto first = Open(peer, PingRequest());  // keeps what sessions share
  ASSERT_TRUE(Ping(*first).ok());
  auto descriptors = [](pid_t pid) { return Footprint::Of(pid).descriptors; };
  const uint64_t ours = descriptors(getpid()), peers = descriptors(peer.pid());
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 4; ++i) sessions.push_back(Open(peer, PingRequest()));
  for (auto& session : sessions) ASSERT_TRUE(Ping(*session).ok());
  EXPECT_GT(descriptors(peer.pid()), peers);
  const Stopwatch watch;
  sessions.clear();
  EXPECT_TRUE(pace::Eventually([&] { return descriptors(peer.pid()) <= peers; }, Settling()))
      << "the responder keeps sessions whose prober has left";
  EXPECT_TRUE(pace::Eventually([&] { return descriptors(getpid()) <= ours; }, Settling()));
  EXPECT_TRUE(watch.Within(kPrompt));
  EXPECT_TRUE(Ping(*first).ok()) << "the others' end is not its own";
}

TEST_P(Conformance, LifecycleASessionThatWasNeverUsedCloses) {
  Peer peer;
  ExpectClosesPromptly(Open(peer, PingRequest()));
  ExpectClosesPromptly(Open(peer, StreamRequest()));
}

TEST_P(Conformance, LifecycleManySessionsAtOnce) {
  constexpr int kPings = 50;
  Peer peer;
  std::atomic<size_t> answered = 0;
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < deviations().parallel_sessions; ++i) {
    threads.emplace_back([&] {
      auto session = OpenWhenFree(peer, PingRequest());
      if (!session.ok()) {
        ADD_FAILURE() << session.status();
        return;
      }
      for (int ping = 0; ping < kPings; ++ping) {
        auto sample = (*session)->Ping({}, Within(seconds(20)), {});
        if (sample.ok()) {
          ++answered;
        } else {
          ADD_FAILURE() << sample.status();
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(answered, deviations().parallel_sessions * kPings);
}

// A responder gives a stream session little time to be used: it holds the port for others.
TEST_P(Conformance, LifecycleAnIdleStreamSessionIsEndedByTheResponder) {
  Peer peer({.stream_session_idle = Scaled(milliseconds(300))});
  auto first = Open(peer, PingRequest());  // keeps what sessions share
  ASSERT_TRUE(Ping(*first).ok());
  const Footprint before = Footprint::Of(peer.pid());
  auto session = Open(peer, StreamRequest());
  EXPECT_TRUE(pace::Eventually([&] { return Footprint::Of(peer.pid()).descriptors <= before.descriptors; }, Settling()))
      << "the responder still serves a session that nobody uses";
  ExpectOver(std::move(session));
}

TEST_P(Conformance, LifecycleAResponderThatEndsDoesNotWaitForItsSessions) {
  Peer peer;
  auto session = Open(peer, PingRequest());
  ASSERT_TRUE(Ping(*session).ok());
  const Stopwatch watch;
  EXPECT_EQ(peer.End(), 0) << "Serve does not heed its stop token";
  EXPECT_TRUE(watch.Within(kPrompt));
  ExpectOver(std::move(session));
}

}  // namespace
}  // namespace netsense::conformance
