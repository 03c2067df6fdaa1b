// The scripted provider itself, by verbs: that it does what a device does, where the tests of the product lean on it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "tests/lab/pace.h"
#include "tests/provider/fabric/fabric.h"
#include "transports/verbs/library.h"

namespace netsense::provider {
namespace {

const verbs::Library& Verbs() { return **verbs::LoadLibrary(); }

// One end, made by hand. `bytes` is registered for everything.
struct End {
  explicit End(const std::string& device) {
    int count = 0;
    ibv_device** list = Verbs().get_device_list(&count);
    for (int i = 0; i < count; ++i)
      if (device == list[i]->name) context = Verbs().open_device(list[i]);
    Verbs().free_device_list(list);
    if (context == nullptr) throw std::runtime_error("cannot open " + device);
    domain = Verbs().alloc_pd(context);
    region = Verbs().reg_mr(domain, bytes.data(), bytes.size(),
                            IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ);
    channel = Verbs().create_comp_channel(context);
    fcntl(channel->fd, F_SETFL, O_NONBLOCK);
    fcntl(context->async_fd, F_SETFL, O_NONBLOCK);
    queue = Verbs().create_cq(context, 16, this, channel, 0);
    ibv_qp_init_attr wish{};
    wish.send_cq = wish.recv_cq = queue;
    wish.qp_type = IBV_QPT_RC;
    wish.cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 2, .max_recv_sge = 2, .max_inline_data = 64};
    pair = Verbs().create_qp(domain, &wish);
  }
  ~End() {
    if (pair != nullptr) Verbs().destroy_qp(pair);
    Verbs().destroy_cq(queue);
    Verbs().destroy_comp_channel(channel);
    Verbs().dereg_mr(region);
    Verbs().dealloc_pd(domain);
    Verbs().close_device(context);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  int Modify(ibv_qp_state state, const ibv_qp_attr& wish, int mask) {
    ibv_qp_attr attributes = wish;
    attributes.qp_state = state;
    return Verbs().modify_qp(pair, &attributes, IBV_QP_STATE | mask);
  }
  int Init() {
    ibv_qp_attr wish{};
    wish.port_num = 1;
    wish.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
    return Modify(IBV_QPS_INIT, wish, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  }
  int ReadyToReceive(const End& peer, const std::string& address, uint32_t sequence = 7) {
    ibv_qp_attr wish{};
    wish.path_mtu = IBV_MTU_1024;
    wish.dest_qp_num = peer.pair->qp_num;
    wish.rq_psn = sequence;
    wish.max_dest_rd_atomic = 1;
    wish.min_rnr_timer = 1;
    wish.ah_attr.is_global = 1;
    wish.ah_attr.port_num = 1;
    std::memcpy(wish.ah_attr.grh.dgid.raw, RawGidOf({.address = address}).data(), 16);
    return Modify(IBV_QPS_RTR, wish,
                  IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
                      IBV_QP_MIN_RNR_TIMER);
  }
  int ReadyToSend(uint8_t not_ready_retries = 7) {
    ibv_qp_attr wish{};
    wish.timeout = 8;  // 1 ms
    wish.retry_cnt = 2;
    wish.rnr_retry = not_ready_retries;
    wish.sq_psn = 7;
    wish.max_rd_atomic = 1;
    return Modify(IBV_QPS_RTS, wish,
                  IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
  }

  int PostRecv(uint64_t id, uint32_t length = 64, uint32_t offset = 0) {
    ibv_sge part{reinterpret_cast<uintptr_t>(bytes.data()) + offset, length, region->lkey};
    ibv_recv_wr request{.wr_id = id, .next = nullptr, .sg_list = &part, .num_sge = 1};
    ibv_recv_wr* bad = nullptr;
    return ibv_post_recv(pair, &request, &bad);
  }
  int PostSend(uint64_t id, ibv_wr_opcode opcode, uint32_t length, const End* peer = nullptr, uint32_t key_off = 0,
               unsigned flags = IBV_SEND_SIGNALED) {
    ibv_sge part{reinterpret_cast<uintptr_t>(bytes.data()), length, region->lkey};
    ibv_send_wr request{};
    request.wr_id = id;
    request.sg_list = &part;
    request.num_sge = 1;
    request.opcode = opcode;
    request.send_flags = flags;
    request.imm_data = 99;
    if (peer != nullptr) {
      request.wr.rdma.remote_addr = reinterpret_cast<uintptr_t>(peer->bytes.data()) + 512;
      request.wr.rdma.rkey = peer->region->rkey + key_off;
    }
    ibv_send_wr* bad = nullptr;
    return ibv_post_send(pair, &request, &bad);
  }

  bool Poll(ibv_wc* completion) const { return ibv_poll_cq(queue, 1, completion) == 1; }
  // The next completion.
  ibv_wc Next() const {
    ibv_wc completion{};
    EXPECT_TRUE(pace::Eventually([&] { return Poll(&completion); })) << "no completion";
    return completion;
  }
  ibv_event_type NextEvent() const {
    ibv_async_event event{};
    EXPECT_TRUE(pace::Eventually([&] { return Verbs().get_async_event(context, &event) == 0; })) << "no event";
    Verbs().ack_async_event(&event);
    return event.event_type;
  }

  std::array<uint8_t, 1024> bytes{};
  ibv_context* context = nullptr;
  ibv_pd* domain = nullptr;
  ibv_mr* region = nullptr;
  ibv_comp_channel* channel = nullptr;
  ibv_cq* queue = nullptr;
  ibv_qp* pair = nullptr;
};

class Provider : public testing::Test {
 protected:
  void ConnectPairs(uint8_t not_ready_retries = 7) {
    for (End* end : {&a_, &b_}) ASSERT_EQ(end->Init(), 0);
    ASSERT_EQ(a_.ReadyToReceive(b_, "10.0.0.2"), 0);
    ASSERT_EQ(b_.ReadyToReceive(a_, "10.0.0.1"), 0);
    for (End* end : {&a_, &b_}) ASSERT_EQ(end->ReadyToSend(not_ready_retries), 0);
    std::iota(a_.bytes.begin(), a_.bytes.end(), uint8_t{1});
  }

  Fabric fabric_{{RoceDevice("mlx5_0", "10.0.0.1"), RoceDevice("mlx5_1", "10.0.0.2")}};
  End a_{"mlx5_0"}, b_{"mlx5_1"};
};

TEST_F(Provider, SendArrivesInTheReceiveThatWasPostedFirst) {
  ConnectPairs();
  ASSERT_EQ(b_.PostRecv(1, 64, 0), 0);
  ASSERT_EQ(b_.PostRecv(2, 64, 64), 0);
  ASSERT_EQ(a_.PostSend(10, IBV_WR_SEND, 40), 0);
  ASSERT_EQ(a_.PostSend(11, IBV_WR_SEND_WITH_IMM, 50, nullptr, 0, IBV_SEND_SIGNALED | IBV_SEND_INLINE), 0);
  for (auto [id, bytes] : {std::pair{1u, 40u}, {2u, 50u}}) {
    const ibv_wc received = b_.Next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.opcode, IBV_WC_RECV);
    EXPECT_EQ(received.wr_id, id);
    EXPECT_EQ(received.byte_len, bytes);
    EXPECT_EQ(received.qp_num, b_.pair->qp_num);
    EXPECT_EQ((received.wc_flags & IBV_WC_WITH_IMM) != 0, id == 2);
  }
  EXPECT_EQ(std::memcmp(a_.bytes.data(), b_.bytes.data(), 40), 0);
  EXPECT_EQ(std::memcmp(a_.bytes.data(), b_.bytes.data() + 64, 50), 0);
  for (uint64_t id : {10u, 11u}) EXPECT_EQ(a_.Next().wr_id, id);
}

TEST_F(Provider, WriteAndReadMoveMemoryAndOnlyImmediateDataTakesAReceive) {
  ConnectPairs();
  ASSERT_EQ(a_.PostSend(1, IBV_WR_RDMA_WRITE, 100, &b_), 0);
  EXPECT_EQ(a_.Next().opcode, IBV_WC_RDMA_WRITE);
  EXPECT_EQ(std::memcmp(a_.bytes.data(), b_.bytes.data() + 512, 100), 0);
  ibv_wc none{};
  EXPECT_FALSE(b_.Poll(&none));
  ASSERT_EQ(b_.PostRecv(5), 0);
  ASSERT_EQ(a_.PostSend(2, IBV_WR_RDMA_WRITE_WITH_IMM, 200, &b_), 0);
  const ibv_wc told = b_.Next();
  EXPECT_EQ(told.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
  EXPECT_EQ(told.byte_len, 200u);
  EXPECT_EQ(told.imm_data, 99u);
  EXPECT_EQ(a_.Next().wr_id, 2u);
  b_.bytes[512] = 77;
  ASSERT_EQ(a_.PostSend(3, IBV_WR_RDMA_READ, 1, &b_), 0);
  EXPECT_EQ(a_.Next().opcode, IBV_WC_RDMA_READ);
  EXPECT_EQ(a_.bytes[0], 77);
}

TEST_F(Provider, AWrongKeyIsARemoteAccessErrorAndBothPairsAreInError) {
  ConnectPairs();
  ASSERT_EQ(b_.PostRecv(5), 0);
  ASSERT_EQ(a_.PostSend(1, IBV_WR_RDMA_WRITE, 100, &b_, 1000), 0);
  EXPECT_EQ(a_.Next().status, IBV_WC_REM_ACCESS_ERR);
  EXPECT_EQ(b_.NextEvent(), IBV_EVENT_QP_ACCESS_ERR);
  EXPECT_EQ(b_.Next().status, IBV_WC_WR_FLUSH_ERR);
  ASSERT_EQ(a_.PostSend(2, IBV_WR_SEND, 1), 0);
  EXPECT_EQ(a_.Next().status, IBV_WC_WR_FLUSH_ERR);
}

TEST_F(Provider, AReceiverThatIsNotReadyIsTriedAsOftenAsAsked) {
  ConnectPairs(/*not_ready_retries=*/2);
  ASSERT_EQ(a_.PostSend(1, IBV_WR_SEND, 1), 0);
  EXPECT_EQ(a_.Next().status, IBV_WC_RNR_RETRY_EXC_ERR);
}

TEST_F(Provider, AReceiverThatIsReadyLaterGetsItLater) {
  ConnectPairs();
  ASSERT_EQ(a_.PostSend(1, IBV_WR_SEND, 1), 0);
  ASSERT_EQ(b_.PostRecv(5), 0);
  EXPECT_EQ(b_.Next().status, IBV_WC_SUCCESS);
  EXPECT_EQ(a_.Next().status, IBV_WC_SUCCESS);
}

TEST_F(Provider, APeerThatIsGoneOrDoesNotExpectUsIsRetriedAndGivenUp) {
  ConnectPairs();
  Verbs().destroy_qp(b_.pair);
  b_.pair = nullptr;
  ASSERT_EQ(a_.PostSend(1, IBV_WR_SEND, 1), 0);
  EXPECT_EQ(a_.Next().status, IBV_WC_RETRY_EXC_ERR);

  End c("mlx5_0"), d("mlx5_1");
  for (End* end : {&c, &d}) ASSERT_EQ(end->Init(), 0);
  ASSERT_EQ(c.ReadyToReceive(d, "10.0.0.2"), 0);
  ASSERT_EQ(d.ReadyToReceive(c, "10.0.0.1", /*sequence=*/8), 0);
  ASSERT_EQ(c.ReadyToSend(), 0);
  ASSERT_EQ(c.PostSend(1, IBV_WR_SEND, 1), 0);
  EXPECT_EQ(c.Next().status, IBV_WC_RETRY_EXC_ERR) << "packets with another sequence number";
}

TEST_F(Provider, AMessageThatIsTooLongIsRefused) {
  ConnectPairs();
  ASSERT_EQ(b_.PostRecv(5, 10), 0);
  ASSERT_EQ(a_.PostSend(1, IBV_WR_SEND, 11), 0);
  EXPECT_EQ(b_.Next().status, IBV_WC_LOC_LEN_ERR);
  EXPECT_EQ(a_.Next().status, IBV_WC_REM_INV_REQ_ERR);
}

TEST_F(Provider, AChannelTellsOnceWhenArmedAndOnlyOfWhatComesLater) {
  ConnectPairs();
  ibv_cq* queue = nullptr;
  void* cookie = nullptr;
  ASSERT_EQ(b_.PostRecv(5), 0);
  ASSERT_EQ(b_.PostRecv(6), 0);
  ASSERT_EQ(a_.PostSend(1, IBV_WR_SEND, 1), 0);
  b_.Next();
  ASSERT_EQ(ibv_req_notify_cq(b_.queue, 0), 0);
  EXPECT_EQ(Verbs().get_cq_event(b_.channel, &queue, &cookie), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(a_.PostSend(2, IBV_WR_SEND, 1), 0);
  pollfd wait{b_.channel->fd, POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, static_cast<int>(pace::Patience().count())), 1);
  ASSERT_EQ(Verbs().get_cq_event(b_.channel, &queue, &cookie), 0);
  EXPECT_EQ(queue, b_.queue);
  EXPECT_EQ(cookie, &b_);
  Verbs().ack_cq_events(queue, 1);
  EXPECT_EQ(Verbs().get_cq_event(b_.channel, &queue, &cookie), -1);
}

TEST_F(Provider, ChecksAsTheKernelDoes) {
  EXPECT_EQ(a_.PostRecv(1), EINVAL) << "in RESET";
  EXPECT_EQ(a_.ReadyToSend(), EINVAL) << "out of order";
  ASSERT_EQ(a_.Init(), 0);
  EXPECT_EQ(a_.PostSend(1, IBV_WR_SEND, 1), EINVAL) << "not in RTS";
  for (uint64_t id = 0; id < 4; ++id) EXPECT_EQ(a_.PostRecv(id), 0);
  EXPECT_EQ(a_.PostRecv(9), ENOMEM) << "more than max_recv_wr";
  EXPECT_EQ(Verbs().destroy_cq(a_.queue), EBUSY);
  EXPECT_EQ(Verbs().dealloc_pd(a_.domain), EBUSY);
  EXPECT_EQ(fabric_.misuse().destroyed_in_use, 2u);
}

TEST_F(Provider, ADeviceThatIsTakenAwayFailsEverythingAndLetsEverythingGo) {
  ConnectPairs();
  ASSERT_EQ(a_.PostRecv(1), 0);
  fabric_.Remove("mlx5_0", Removal::kUnderItsUsers);
  EXPECT_EQ(a_.NextEvent(), IBV_EVENT_DEVICE_FATAL);
  EXPECT_EQ(a_.Next().status, IBV_WC_WR_FLUSH_ERR);
  errno = 0;
  EXPECT_EQ(Verbs().alloc_pd(a_.context), nullptr);
  EXPECT_EQ(errno, EIO);
  EXPECT_THROW(End("mlx5_0"), std::runtime_error);
  fabric_.Add(RoceDevice("mlx5_0", "10.0.0.1"));
  End again("mlx5_0");
  EXPECT_EQ(again.Init(), 0);
}

TEST_F(Provider, WhatAClosedContextLeavesIsCounted) {
  EXPECT_EQ(fabric_.objects().all(), 12u);
  const auto left = new End("mlx5_0");
  Verbs().close_device(left->context);
  EXPECT_EQ(fabric_.misuse().left_at_close, 5u);
  EXPECT_EQ(fabric_.objects().all(), 12u);
}

}  // namespace
}  // namespace netsense::provider
