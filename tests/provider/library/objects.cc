// Protection domains, memory regions, completion queues and channels, queue pairs: made and destroyed.
#include <sys/mman.h>

#include <cerrno>
#include <memory>

#include "tests/provider/library/context.h"

using netsense::UniqueFd;
using netsense::provider::Context;
using netsense::provider::MadeOr;
using netsense::provider::Pair;
using netsense::provider::Queue;
namespace wire = netsense::provider::wire;

namespace {

Context& Of(ibv_context* context) { return *static_cast<Context*>(context); }

// Who destroys what has events that were read and not acknowledged waits, for ever if need be: as libibverbs does.
template <typename All>
void AwaitAcknowledged(pthread_mutex_t* mutex, pthread_cond_t* changed, All all) {
  pthread_mutex_lock(mutex);
  while (!all()) pthread_cond_wait(changed, mutex);
  pthread_mutex_unlock(mutex);
  pthread_mutex_destroy(mutex);
  pthread_cond_destroy(changed);
}

}  // namespace

extern "C" {

ibv_pd* ibv_alloc_pd(ibv_context* context) {
  const wire::Reply reply = Of(context).Ask(wire::AllocPd{});
  return reply.error == 0 ? new ibv_pd{context, reply.handle} : MadeOr<ibv_pd>(reply.error, nullptr);
}

int ibv_dealloc_pd(ibv_pd* domain) {
  const int error = Of(domain->context).Ask(wire::DeallocPd{domain->handle}).error;
  if (error == 0) delete domain;
  return error;
}

#undef ibv_reg_mr
ibv_mr* ibv_reg_mr(ibv_pd* domain, void* address, size_t length, int access) {
  const wire::Reply reply = Of(domain->context)
                                .Ask(wire::RegMr{.pd = domain->handle,
                                                 .address = reinterpret_cast<uintptr_t>(address),
                                                 .length = length,
                                                 .access = access});
  if (reply.error != 0) return MadeOr<ibv_mr>(reply.error, nullptr);
  return new ibv_mr{domain->context, domain, address, length, reply.handle, reply.key, reply.key};
}

int ibv_dereg_mr(ibv_mr* region) {
  const int error = Of(region->context).Ask(wire::DeregMr{region->handle}).error;
  if (error == 0) delete region;
  return error;
}

ibv_comp_channel* ibv_create_comp_channel(ibv_context* context) {
  UniqueFd events;
  const wire::Reply reply = Of(context).Ask(wire::CreateChannel{}, &events);
  if (reply.error != 0) return MadeOr<ibv_comp_channel>(reply.error, nullptr);
  // `refcnt` is libibverbs' own: the handle is kept there.
  return new ibv_comp_channel{context, events.Release(), static_cast<int>(reply.handle)};
}

int ibv_destroy_comp_channel(ibv_comp_channel* channel) {
  const int error = Of(channel->context).Ask(wire::DestroyChannel{static_cast<uint32_t>(channel->refcnt)}).error;
  if (error != 0) return error;
  close(channel->fd);
  delete channel;
  return 0;
}

ibv_cq* ibv_create_cq(ibv_context* context, int entries, void* cookie, ibv_comp_channel* channel, int vector) {
  if (entries < 1 || vector != 0) return MadeOr<ibv_cq>(EINVAL, nullptr);
  UniqueFd memory;
  const auto wished = static_cast<uint32_t>(entries);
  const wire::Reply reply = Of(context).Ask(
      wire::CreateCq{.entries = wished, .channel = channel != nullptr ? static_cast<uint32_t>(channel->refcnt) : 0},
      &memory);
  if (reply.error != 0) return MadeOr<ibv_cq>(reply.error, nullptr);
  auto queue = std::make_unique<Queue>();
  queue->ring_bytes = wire::Ring::BytesFor(wished);
  void* mapped = mmap(nullptr, queue->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) {
    Of(context).Ask(wire::DestroyCq{reply.handle});
    return MadeOr<ibv_cq>(ENOMEM, nullptr);
  }
  queue->ring = static_cast<wire::Ring*>(mapped);
  queue->context = context;
  queue->channel = channel;
  queue->cq_context = cookie;
  queue->handle = reply.handle;
  queue->cqe = entries;
  pthread_mutex_init(&queue->mutex, nullptr);
  pthread_cond_init(&queue->cond, nullptr);
  std::lock_guard lock(Of(context).objects);
  Of(context).queues[reply.handle] = queue.get();
  return queue.release();
}

int ibv_destroy_cq(ibv_cq* made) {
  auto* queue = static_cast<Queue*>(made);
  const int error = Of(queue->context).Ask(wire::DestroyCq{queue->handle}).error;
  if (error != 0) return error;
  {
    std::lock_guard lock(Of(queue->context).objects);
    Of(queue->context).queues.erase(queue->handle);
  }
  AwaitAcknowledged(&queue->mutex, &queue->cond, [&] {
    return queue->comp_events_completed == queue->events_read &&
           queue->async_events_completed == queue->async_events_read;
  });
  munmap(queue->ring, queue->ring_bytes);
  delete queue;
  return 0;
}

ibv_qp* ibv_create_qp(ibv_pd* domain, ibv_qp_init_attr* wish) {
  const wire::Reply reply = Of(domain->context)
                                .Ask(wire::CreateQp{.pd = domain->handle,
                                                    .send_cq = wish->send_cq->handle,
                                                    .recv_cq = wish->recv_cq->handle,
                                                    .type = wish->qp_type,
                                                    .cap = wish->cap,
                                                    .signal_all = wish->sq_sig_all});
  if (reply.error != 0) return MadeOr<ibv_qp>(reply.error, nullptr);
  wish->cap = reply.cap;
  auto pair = std::make_unique<Pair>();
  pair->context = domain->context;
  pair->qp_context = wish->qp_context;
  pair->pd = domain;
  pair->send_cq = wish->send_cq;
  pair->recv_cq = wish->recv_cq;
  pair->handle = pair->qp_num = reply.handle;
  pair->state = IBV_QPS_RESET;
  pair->qp_type = wish->qp_type;
  pair->max_send = reply.cap.max_send_wr;
  pair->max_recv = reply.cap.max_recv_wr;
  pair->max_inline = reply.cap.max_inline_data;
  pthread_mutex_init(&pair->mutex, nullptr);
  pthread_cond_init(&pair->cond, nullptr);
  std::lock_guard lock(Of(domain->context).objects);
  Of(domain->context).pairs[reply.handle] = pair.get();
  return pair.release();
}

int ibv_modify_qp(ibv_qp* pair, ibv_qp_attr* attributes, int mask) {
  const int error = Of(pair->context).Ask(wire::ModifyQp{pair->handle, *attributes, mask}).error;
  if (error == 0 && (mask & IBV_QP_STATE) != 0) pair->state = attributes->qp_state;
  return error;
}

int ibv_destroy_qp(ibv_qp* made) {
  auto* pair = static_cast<Pair*>(made);
  const int error = Of(pair->context).Ask(wire::DestroyQp{pair->handle}).error;
  if (error != 0) return error;
  {
    std::lock_guard lock(Of(pair->context).objects);
    Of(pair->context).pairs.erase(pair->handle);
  }
  AwaitAcknowledged(&pair->mutex, &pair->cond, [&] { return pair->events_completed == pair->events_read; });
  delete pair;
  return 0;
}

}  // extern "C"
