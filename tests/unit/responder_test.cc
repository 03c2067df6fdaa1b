// Admission control: who gets a session, who is refused, and with which words.
#include "engine/responder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/lab/pace.h"
#include "tests/unit/loopback_responder.h"

namespace netsense {
namespace {

TEST(Responder, GrantsUnderItsNodeIdOnly) {
  LoopbackResponder peer;
  v1::OpenSession request = LoopbackResponder::PingRequest();
  request.set_target_node_id("abc");
  auto early = peer.Dial(request, "");
  EXPECT_TRUE(absl::IsNotFound(early.status())) << early.status();
  peer.responder->SetNodeId("abc");
  EXPECT_TRUE(peer.Dial(request, "").ok());
  peer.responder->SetNodeId("def");
  auto moved = peer.Dial(request, "");
  EXPECT_TRUE(absl::IsNotFound(moved.status())) << moved.status();
  EXPECT_NE(moved.status().message().find("def"), absl::string_view::npos);
}

// What a session asks of the door, it must not ask of one that is gone.
TEST(Responder, EndsWhileSessionsBegin) {
  for (int round = 0; round < 50; ++round) {
    LoopbackResponder peer;
    const DialTarget door{"127.0.0.1", peer.responder->port(), {}, ""};
    std::atomic<int> begun = 0;
    std::vector<std::thread> dialers;
    for (int i = 0; i < 8; ++i)
      dialers.emplace_back([&] {
        for (int n = 0; n < 20; ++n, ++begun) (void)DialDoor(door, LoopbackResponder::PingRequest(), pace::Soon(), {});
      });
    EXPECT_TRUE(pace::Eventually([&] { return begun >= 16; }));
    peer.responder.reset();
    for (std::thread& dialer : dialers) dialer.join();
  }
}

TEST(Responder, GivesAPortToOneStreamAtATime) {
  LoopbackResponder peer;
  auto first = peer.Open(LoopbackResponder::StreamRequest(1 << 20));
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = peer.Open(LoopbackResponder::StreamRequest(1 << 20));
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  auto ping = peer.Open(LoopbackResponder::PingRequest());
  EXPECT_TRUE(ping.ok()) << "pings go beside a stream: " << ping.status();
  first->reset();
  // The responder notices the end on its own thread.
  pace::Eventually([&] {
    second = peer.Open(LoopbackResponder::StreamRequest(1 << 20));
    return !absl::IsAborted(second.status());
  });
  EXPECT_TRUE(second.ok()) << second.status();
}

TEST(Responder, RefusesMoreBytesThanItGives) {
  ResponderOptions options;
  options.max_stream_bytes = 1 << 20;
  LoopbackResponder peer("", options);
  EXPECT_TRUE(peer.Open(LoopbackResponder::StreamRequest(1 << 20)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(peer.Open(LoopbackResponder::StreamRequest((1 << 20) + 1)).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(peer.Open(LoopbackResponder::StreamRequest(UINT64_MAX)).status()));
}

TEST(Responder, ChargesItsBudgetForWhatOthersStream) {
  LoopbackResponder peer("", {}, {.share = 0.05, .burst_bytes = 8 << 20});
  EXPECT_TRUE(peer.Open(LoopbackResponder::StreamRequest(8 << 20)).ok());
  absl::Status status;
  pace::Eventually([&] {
    status = peer.Open(LoopbackResponder::StreamRequest(8 << 20)).status();
    return !absl::IsAborted(status);
  });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST(Responder, CapsSessionsPerPeer) {
  ResponderOptions options;
  options.max_sessions_per_peer = 3;
  LoopbackResponder peer("", options);
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 3; ++i) {
    auto session = peer.Open(LoopbackResponder::PingRequest());
    ASSERT_TRUE(session.ok()) << session.status();
    sessions.push_back(*std::move(session));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(peer.Open(LoopbackResponder::PingRequest()).status()));
  EXPECT_EQ(peer.responder->counters().sessions_granted, 3u);
  EXPECT_EQ(peer.responder->counters().sessions_refused, 1u);
  EXPECT_TRUE(sessions.front()->Ping({}, pace::Soon(), {}).ok());
}

TEST(Responder, NamesWhatItDoesNotRun) {
  LoopbackResponder peer;
  v1::OpenSession request = LoopbackResponder::PingRequest();
  request.set_transport("carrier-pigeon");
  auto status = peer.Dial(request, "").status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  request = LoopbackResponder::PingRequest();
  request.clear_purpose();
  EXPECT_TRUE(absl::IsPermissionDenied(peer.Dial(request, "").status()));
}

TEST(Responder, SpinsOnlyWhereAllowed) {
  v1::OpenSession request = LoopbackResponder::PingRequest();
  request.set_wait_mode(v1::WAIT_MODE_BUSY_POLL);
  LoopbackResponder engine;
  EXPECT_EQ(engine.Dial(request, "")->grant.wait_mode(), v1::WAIT_MODE_BLOCK);
  ResponderOptions options;
  options.allow_busy_poll = true;
  LoopbackResponder serve("", options);
  EXPECT_EQ(serve.Dial(request, "")->grant.wait_mode(), v1::WAIT_MODE_BUSY_POLL);
}

TEST(Responder, EndsItsSessionsWhenItGoes) {
  auto peer = std::make_unique<LoopbackResponder>();
  auto session = peer->Open(LoopbackResponder::PingRequest());
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE((*session)->Ping({}, pace::Soon(), {}).ok());
  peer.reset();
  auto status = (*session)->Ping({}, pace::Soon(), {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

}  // namespace
}  // namespace netsense
