#include "tests/provider/fabric/world.h"

#include <sys/socket.h>

#include <utility>

namespace netsense::provider {
namespace {

ibv_wc_opcode OpcodeOf(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return IBV_WC_RDMA_WRITE;
    case IBV_WR_RDMA_READ:
      return IBV_WC_RDMA_READ;
    default:
      return IBV_WC_SEND;
  }
}

}  // namespace

std::shared_ptr<Device> World::FindListed(const std::string& name) const {
  for (const auto& device : devices)
    if (device->listed && device->spec.name == name) return device;
  return nullptr;
}

Objects World::CountObjects() const {
  Objects all;
  for (const Context& context : contexts) {
    if (context.device == nullptr) continue;
    ++all.contexts;
    all.domains += context.domains.size();
    all.regions += context.regions.size();
    all.channels += context.channels.size();
    all.queues += context.queues.size();
    all.pairs += context.pairs.size();
  }
  return all;
}

void Raise(Context& context, ibv_event_type type, uint32_t element) {
  const wire::AsyncEvent event{type, element};
  send(context.async.get(), &event, sizeof(event), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Complete(World& world, Context& context, uint32_t handle, const wire::Completion& completion) {
  auto found = context.queues.find(handle);
  if (found == context.queues.end() || found->second.overrun) return;
  CompletionQueue& queue = found->second;
  wire::Ring& ring = *queue.ring;
  const uint32_t produced = ring.produced.load();
  if (produced - ring.consumed.load() >= queue.entries) {
    queue.overrun = true;
    Raise(context, IBV_EVENT_CQ_ERR, handle);
    for (auto& [number, pair] : context.pairs)
      if (pair.send_cq == handle || pair.recv_cq == handle) Fail(world, pair);
    return;
  }
  ring.slots()[produced % queue.entries] = completion;
  ring.produced.store(produced + 1);
  if (ring.armed.exchange(0) == 0) return;
  auto channel = context.channels.find(queue.channel);
  if (channel != context.channels.end())
    send(channel->second.events.get(), &handle, sizeof(handle), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Fail(World& world, QueuePair& pair) {
  if (pair.state == IBV_QPS_ERR) return;
  pair.state = IBV_QPS_ERR;
  Flush(world, pair);
}

void Flush(World& world, QueuePair& pair) {
  while (!pair.sends.empty()) FinishSend(world, pair, IBV_WC_WR_FLUSH_ERR);
  for (const wire::PostRecv& request : std::exchange(pair.receives, {}))
    Complete(world, *pair.context, pair.recv_cq,
             {.id = request.id,
              .status = IBV_WC_WR_FLUSH_ERR,
              .opcode = IBV_WC_RECV,
              .bytes = 0,
              .immediate = 0,
              .qp = pair.number,
              .flags = 0,
              .retired = 1,
              .of_send = false});
}

void FinishSend(World& world, QueuePair& pair, ibv_wc_status status, uint32_t bytes, bool lost) {
  const wire::PostSend request = pair.sends.front();
  pair.sends.pop_front();
  pair.again_at.reset();
  pair.retries = pair.attributes.retry_cnt;
  pair.not_ready_retries = pair.attributes.rnr_retry;
  const bool told = pair.signal_all || (request.flags & IBV_SEND_SIGNALED) != 0 || status != IBV_WC_SUCCESS;
  ++pair.unsignaled;
  if (told && !lost)
    Complete(world, *pair.context, pair.send_cq,
             {.id = request.id,
              .status = status,
              .opcode = OpcodeOf(request.opcode),
              .bytes = bytes,
              .immediate = 0,
              .qp = pair.number,
              .flags = 0,
              .retired = std::exchange(pair.unsignaled, 0),
              .of_send = true});
  if (status != IBV_WC_SUCCESS && status != IBV_WC_WR_FLUSH_ERR) Fail(world, pair);
}

}  // namespace netsense::provider
