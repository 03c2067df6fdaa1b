// What goes wrong on the way, and peers that say what they should not.
#include "tests/provider/verbs_session.h"
#include "transports/frame.h"

namespace netsense::provider {
namespace {

// Both ends with a stranger between their doors, who may change what the responder says of its own end.
class VerbsFaults : public VerbsSession {
 protected:
  absl::StatusOr<std::unique_ptr<Session>> OpenThrough(const v1::OpenSession& request,
                                                       const std::function<void(v1::VerbsEndpoint*)>& change) {
    Ends near = ConnectEnds(), far = ConnectEnds();
    served_ = Serve(std::move(far.responder), request);
    const auto relayed = std::async(std::launch::async, [&] {
      v1::VerbsEndpoint endpoint;
      absl::Status status = ReadFrame(near.responder.get(), &endpoint, Soon(), {});
      status.Update(WriteFrame(far.prober.get(), endpoint, Soon(), {}));
      status.Update(ReadFrame(far.prober.get(), &endpoint, Soon(), {}));
      change(&endpoint);
      status.Update(WriteFrame(near.responder.get(), endpoint, Soon(), {}));
      return status;
    });
    auto session = Connect(std::move(near.prober), request);
    near_ = std::move(near.responder);  // the doors stay open until CloseDoors
    far_ = std::move(far.prober);
    return session;
  }
  void CloseDoors() {
    near_.Reset();
    far_.Reset();
    served_.get().IgnoreError();
  }

  UniqueFd near_, far_;
};

TEST_F(VerbsFaults, AWrongKeyEndsTheStreamOnBothSides) {
  for (const char* mode : {"write", "read"}) {
    auto session =
        OpenThrough(Streams(mode), [](v1::VerbsEndpoint* it) { it->set_buffer_key(it->buffer_key() + 1000); });
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_TRUE(Ping(**session).ok());
    const Direction direction = std::string(mode) == "read" ? Direction::kFromPeer : Direction::kToPeer;
    auto sample = (*session)->Stream({.direction = direction, .bytes = 1 << 20}, Soon(), {});
    EXPECT_TRUE(absl::IsUnavailable(sample.status())) << sample.status();
    EXPECT_NE(sample.status().message().find("remote access error"), std::string::npos) << sample.status();
    // The responder's device tells its own session of it; it does not wait for the door.
    EXPECT_EQ(served_.wait_for(Patience()), std::future_status::ready);
    session->reset();
    CloseDoors();
    ExpectNothingLeft();
  }
}

TEST_F(VerbsFaults, ABufferBeyondThePeersIsRefused) {
  auto session =
      OpenThrough(Streams(), [](v1::VerbsEndpoint* it) { it->set_buffer_address(it->buffer_address() + 4096); });
  ASSERT_TRUE(session.ok()) << session.status();
  const StreamSpec whole{.direction = Direction::kToPeer, .bytes = 1 << 20, .message_bytes = 64 << 10};
  auto sample = (*session)->Stream(whole, Soon(), {});
  EXPECT_TRUE(absl::IsUnavailable(sample.status())) << sample.status();
  session->reset();
  CloseDoors();
  ExpectNothingLeft();
}

TEST_F(VerbsFaults, AnEndpointThatMakesNoSenseIsRefused) {
  auto no_gid = OpenThrough(Pings(), [](v1::VerbsEndpoint* it) { it->clear_gid(); });
  EXPECT_TRUE(absl::IsUnavailable(no_gid.status())) << no_gid.status();
  CloseDoors();
  auto no_buffer = OpenThrough(Streams(), [](v1::VerbsEndpoint* it) { it->set_buffer_bytes(100); });
  EXPECT_TRUE(absl::IsUnavailable(no_buffer.status())) << no_buffer.status();
  CloseDoors();
  ExpectNothingLeft();
}

// Nobody answers: the device tries again as often as it was told, and the session ends when it gives up.
TEST_F(VerbsFaults, AQueuePairThatDoesNotAnswerIsGivenUp) {
  fabric_.ScaleRetries(0.01);
  const std::vector<std::function<void(v1::VerbsEndpoint*)>> changes = {
      [](v1::VerbsEndpoint* it) { it->set_queue_pair(it->queue_pair() + 1000); },
      [](v1::VerbsEndpoint* it) { it->set_gid(it->gid().substr(1) + "x"); }};
  for (const auto& change : changes) {
    auto session = OpenThrough(Pings(), change);
    ASSERT_TRUE(session.ok()) << session.status();
    const absl::Status status = Ping(**session);
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_NE(status.message().find("retry counter exceeded"), std::string::npos) << status;
    session->reset();
    CloseDoors();
    ExpectNothingLeft();
  }
}

TEST_F(VerbsFaults, ADamagedEchoIsDataLoss) {
  for (uint32_t offset : {50u, 80u}) {  // in the payload, behind the header
    auto session = Open(Pings());
    ASSERT_TRUE(session.ok()) << session.status();
    fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kDamage, .nth = 2, .offset = offset});
    const absl::Status status = Ping(**session, 64);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_TRUE(absl::IsUnavailable(Ping(**session))) << "the session is over";
    session->reset();
    served_.get().IgnoreError();
    ExpectNothingLeft();
  }
}

// Whatever byte of a ping's frame arrives as another, nobody crashes, hangs or passes it for an answer.
TEST_F(VerbsFaults, APingThatIsDamagedAnywhereIsNoSample) {
  for (uint32_t offset = 0; offset < 60; ++offset) {
    if (offset >= 24 && offset < kHeaderBytes) continue;  // `value`, which means nothing in a ping
    auto session = Open(Pings());
    ASSERT_TRUE(session.ok()) << session.status();
    fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kDamage, .nth = 1, .offset = offset});
    auto sample = (*session)->Ping({.payload_bytes = 64}, MonotonicNow() + milliseconds(100), {});
    EXPECT_FALSE(sample.ok()) << "byte " << offset << " was another, and it passed";
    session->reset();
    served_.get().IgnoreError();
    ExpectNothingLeft();
  }
}

TEST_F(VerbsFaults, ALostEchoIsADeadlineAndTheSessionLivesOn) {
  auto session = Open(Pings());
  ASSERT_TRUE(session.ok()) << session.status();
  fabric_.Inject(WorkFault{.kind = WorkFault::Kind::kLoseReceived, .nth = 2});
  auto lost = (*session)->Ping({}, MonotonicNow() + milliseconds(100), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(lost.status())) << lost.status();
  EXPECT_TRUE(Ping(**session).ok());
}

TEST_F(VerbsFaults, AnErrorCompletionEndsTheSessionWithItsName) {
  const std::vector<std::pair<ibv_wc_status, std::string>> statuses = {
      {IBV_WC_RETRY_EXC_ERR, "transport retry counter exceeded"},
      {IBV_WC_RNR_RETRY_EXC_ERR, "RNR retry counter exceeded"},
      {IBV_WC_REM_OP_ERR, "remote operation error"},
      {IBV_WC_LOC_PROT_ERR, "local protection error"}};
  for (const auto& [status, says] : statuses) {
    auto session = Open(Streams());
    ASSERT_TRUE(session.ok()) << session.status();
    fabric_.Inject(WorkFault{.nth = 5, .opcode = IBV_WR_RDMA_WRITE_WITH_IMM, .status = status});
    auto sample = (*session)->Stream({.direction = Direction::kToPeer, .bytes = 4 << 20}, Soon(), {});
    EXPECT_TRUE(absl::IsUnavailable(sample.status())) << sample.status();
    EXPECT_NE(sample.status().message().find(says), std::string::npos) << sample.status();
    session->reset();
    served_.get().IgnoreError();
    ExpectNothingLeft();
  }
}

// A receiver that is slow to post receives is waited for: RNR NAKs are no error.
TEST_F(VerbsFaults, AStreamThatIsLongerThanAllReceivesArrivesWhole) {
  auto session = Open(Streams());
  ASSERT_TRUE(session.ok()) << session.status();
  for (Direction direction : {Direction::kToPeer, Direction::kFromPeer}) {
    auto sample = (*session)->Stream({.direction = direction, .bytes = 1 << 20, .message_bytes = 512}, Soon(), {});
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->bytes, 1u << 20);
  }
}

}  // namespace
}  // namespace netsense::provider
