// Posting and polling: what verbs.h's inline functions reach through the context.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/provider/library/context.h"

namespace netsense::provider {
namespace {

Context& Of(ibv_context* context) { return *static_cast<Context*>(context); }

template <typename Request, typename Posted>
bool TakeParts(const Request& request, Posted* posted) {
  if (request.num_sge < 0 || static_cast<uint32_t>(request.num_sge) > wire::kMaxParts) return false;
  posted->parts = static_cast<uint32_t>(request.num_sge);
  std::copy_n(request.sg_list, posted->parts, posted->part.begin());
  return true;
}

// The memory is the caller's again when this returns.
bool TakeInline(const ibv_send_wr& request, uint32_t most, wire::PostSend* posted) {
  for (uint32_t i = 0; i < posted->parts; ++i) {
    const ibv_sge& part = posted->part[i];
    if (part.length > most - posted->inline_bytes) return false;
    std::memcpy(posted->data.data() + posted->inline_bytes, reinterpret_cast<const void*>(request.sg_list[i].addr),
                part.length);
    posted->inline_bytes += part.length;
  }
  posted->parts = 0;
  return true;
}

int PostOneSend(Pair& pair, const ibv_send_wr& request) {
  if (pair.state != IBV_QPS_RTS && pair.state != IBV_QPS_SQD && pair.state != IBV_QPS_ERR) return EINVAL;
  wire::PostSend posted{};
  posted.qp = pair.qp_num;
  posted.id = request.wr_id;
  posted.opcode = request.opcode;
  posted.flags = request.send_flags;
  posted.immediate = request.imm_data;
  posted.remote_address = request.wr.rdma.remote_addr;
  posted.remote_key = request.wr.rdma.rkey;
  if (!TakeParts(request, &posted)) return EINVAL;
  if ((request.send_flags & IBV_SEND_INLINE) != 0 && !TakeInline(request, pair.max_inline, &posted)) return EINVAL;
  if (pair.sends.fetch_add(1) >= pair.max_send) {
    pair.sends.fetch_sub(1);
    return ENOMEM;
  }
  return Of(pair.context).Tell(posted);
}

int PostOneReceive(Pair& pair, const ibv_recv_wr& request) {
  if (pair.state == IBV_QPS_RESET) return EINVAL;
  wire::PostRecv posted{};
  posted.qp = pair.qp_num;
  posted.id = request.wr_id;
  if (!TakeParts(request, &posted)) return EINVAL;
  if (pair.receives.fetch_add(1) >= pair.max_recv) {
    pair.receives.fetch_sub(1);
    return ENOMEM;
  }
  return Of(pair.context).Tell(posted);
}

}  // namespace

int PostSend(ibv_qp* pair, ibv_send_wr* request, ibv_send_wr** bad) {
  for (; request != nullptr; request = request->next)
    if (int error = PostOneSend(*static_cast<Pair*>(pair), *request); error != 0) {
      *bad = request;
      return error;
    }
  return 0;
}

int PostRecv(ibv_qp* pair, ibv_recv_wr* request, ibv_recv_wr** bad) {
  for (; request != nullptr; request = request->next)
    if (int error = PostOneReceive(*static_cast<Pair*>(pair), *request); error != 0) {
      *bad = request;
      return error;
    }
  return 0;
}

int PollCq(ibv_cq* polled, int most, ibv_wc* completions) {
  auto& queue = *static_cast<Queue*>(polled);
  wire::Ring& ring = *queue.ring;
  std::lock_guard lock(queue.polling);
  int taken = 0;
  uint32_t consumed = ring.consumed.load(std::memory_order_relaxed);
  for (; taken < most && consumed != ring.produced.load(); ++taken, ++consumed) {
    const wire::Completion& completion = ring.slots()[consumed % ring.entries];
    ibv_wc& out = completions[taken];
    out = {};
    out.wr_id = completion.id;
    out.status = completion.status;
    out.opcode = completion.opcode;
    out.byte_len = completion.bytes;
    out.imm_data = completion.immediate;
    out.qp_num = completion.qp;
    out.wc_flags = completion.flags;
    if (Pair* pair = Of(queue.context).FindPair(completion.qp))
      (completion.of_send ? pair->sends : pair->receives).fetch_sub(completion.retired);
  }
  ring.consumed.store(consumed);
  return taken;
}

int RequestNotification(ibv_cq* queue, int) {
  static_cast<Queue*>(queue)->ring->armed.store(1);
  return 0;
}

}  // namespace netsense::provider
