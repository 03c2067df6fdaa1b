#include "tests/provider/fabric/kernel.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tests/provider/fabric/reliable_connection.h"
#include "tests/provider/fabric/sysfs_writer.h"

namespace netsense::provider {
namespace {

constexpr int kMaxEntries = 1 << 16, kMaxRequests = 1 << 14;
constexpr int kReadsInitiated = 16, kReadsServed = 16;

wire::Reply Error(int error) { return {.error = error}; }

int AttributeMaskTo(ibv_qp_state to) {
  switch (to) {
    case IBV_QPS_INIT:
      return IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
    case IBV_QPS_RTR:
      return IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
             IBV_QP_MIN_RNR_TIMER;
    case IBV_QPS_RTS:
      return IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC;
    default:
      return 0;
  }
}

bool MayChange(ibv_qp_state from, ibv_qp_state to) {
  return to == IBV_QPS_ERR || to == IBV_QPS_RESET || (to == IBV_QPS_INIT && from == IBV_QPS_RESET) ||
         (to == IBV_QPS_RTR && from == IBV_QPS_INIT) || (to == IBV_QPS_RTS && from == IBV_QPS_RTR);
}

class Kernel {
 public:
  Kernel(World& world, Context& context, UniqueFd* along) : world_(world), context_(context), along_(along) {}

  wire::Reply operator()(const wire::OpenDevice& call) {
    auto device = world_.FindListed(std::string(call.name, strnlen(call.name, sizeof(call.name))));
    if (!device) return Error(ENODEV);
    uint64_t open = 0;
    for (const Context& other : world_.contexts) open += other.device == device;
    if (open >= device->spec.limits.contexts) return Error(ENOMEM);
    if (!MayReachMemory(call.probe)) return Error(EPERM);
    if (int error = MakeSockets(&context_.async); error != 0) return Error(error);
    context_.device = std::move(device);
    return {};
  }

  wire::Reply operator()(const wire::CloseDevice&) {
    world_.misuse.left_at_close += context_.objects();
    Release(world_, context_);
    return {};
  }

  wire::Reply operator()(const wire::QueryDevice&) const {
    wire::Reply reply;
    reply.device.max_qp = reply.device.max_cq = reply.device.max_mr = reply.device.max_pd = 1 << 16;
    reply.device.max_qp_wr = kMaxRequests;
    reply.device.max_cqe = kMaxEntries;
    reply.device.max_sge = wire::kMaxParts;
    reply.device.max_qp_rd_atom = kReadsServed;
    reply.device.max_qp_init_rd_atom = kReadsInitiated;
    reply.device.phys_port_cnt = static_cast<uint8_t>(context_.device->spec.ports.size());
    return reply;
  }

  wire::Reply operator()(const wire::QueryPort& call) const {
    const PortSpec* port = FindPort(call.port);
    if (port == nullptr) return Error(EINVAL);
    wire::Reply reply;
    reply.port.state = port->state;
    reply.port.max_mtu = IBV_MTU_4096;
    reply.port.active_mtu = port->mtu;
    reply.port.gid_tbl_len = static_cast<int>(port->gids.size());
    reply.port.pkey_tbl_len = 1;
    reply.port.max_msg_sz = 1u << 30;
    reply.port.lid = port->lid;
    reply.port.link_layer = port->infiniband ? IBV_LINK_LAYER_INFINIBAND : IBV_LINK_LAYER_ETHERNET;
    return reply;
  }

  wire::Reply operator()(const wire::AllocPd&) {
    if (Used(&Context::domains) >= limits().domains) return Error(ENOMEM);
    context_.domains[world_.next_handle] = 0;
    return {.handle = world_.next_handle++};
  }
  wire::Reply operator()(const wire::DeallocPd& call) {
    return Destroy(&context_.domains, call.handle, [](uint32_t users) { return users > 0; });
  }

  wire::Reply operator()(const wire::RegMr& call) {
    auto domain = context_.domains.find(call.pd);
    const bool remote_write = (call.access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) != 0;
    if (domain == context_.domains.end() || (remote_write && (call.access & IBV_ACCESS_LOCAL_WRITE) == 0))
      return Error(EINVAL);
    if (Used(&Context::regions) >= limits().regions) return Error(ENOMEM);
    if (LockedBytes() + call.length > limits().locked_bytes) return Error(ENOMEM);
    ++domain->second;
    context_.regions[world_.next_handle] = {call.pd, call.address, call.length, call.access};
    return {.handle = world_.next_handle, .key = world_.next_handle++};
  }
  wire::Reply operator()(const wire::DeregMr& call) {
    auto region = context_.regions.find(call.handle);
    if (region == context_.regions.end()) return Error(EINVAL);
    --context_.domains.at(region->second.domain);
    context_.regions.erase(region);
    return {};
  }

  wire::Reply operator()(const wire::CreateChannel&) {
    Channel channel;
    if (int error = MakeSockets(&channel.events); error != 0) return Error(error);
    context_.channels[world_.next_handle] = std::move(channel);
    return {.handle = world_.next_handle++};
  }
  wire::Reply operator()(const wire::DestroyChannel& call) {
    return Destroy(&context_.channels, call.handle, [](const Channel& channel) { return channel.queues > 0; });
  }

  wire::Reply operator()(const wire::CreateCq& call) {
    auto channel = context_.channels.find(call.channel);
    if (call.entries > kMaxEntries || (call.channel != 0 && channel == context_.channels.end())) return Error(EINVAL);
    if (Used(&Context::queues) >= limits().queues) return Error(ENOMEM);
    const size_t bytes = wire::Ring::BytesFor(call.entries);
    *along_ = UniqueFd(memfd_create("completions", MFD_CLOEXEC));
    if (!*along_ || ftruncate(along_->get(), static_cast<off_t>(bytes)) != 0) return Error(errno);
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, along_->get(), 0);
    if (mapped == MAP_FAILED) return Error(errno);
    CompletionQueue& queue = context_.queues[world_.next_handle];
    queue.ring = new (mapped) wire::Ring;
    queue.ring->entries = queue.entries = call.entries;
    queue.channel = call.channel;
    if (call.channel != 0) ++channel->second.queues;
    return {.handle = world_.next_handle++};
  }
  wire::Reply operator()(const wire::DestroyCq& call) {
    auto queue = context_.queues.find(call.handle);
    const uint32_t channel = queue != context_.queues.end() ? queue->second.channel : 0;
    auto reply = Destroy(&context_.queues, call.handle, [](const CompletionQueue& it) { return it.pairs > 0; });
    if (reply.error == 0 && channel != 0) --context_.channels.at(channel).queues;
    return reply;
  }

  wire::Reply operator()(const wire::CreateQp& call) {
    auto domain = context_.domains.find(call.pd);
    auto send = context_.queues.find(call.send_cq), receive = context_.queues.find(call.recv_cq);
    if (domain == context_.domains.end() || send == context_.queues.end() || receive == context_.queues.end())
      return Error(EINVAL);
    if (call.type != IBV_QPT_RC) return Error(EOPNOTSUPP);
    const ibv_qp_cap& cap = call.cap;
    if (cap.max_send_wr > kMaxRequests || cap.max_recv_wr > kMaxRequests || cap.max_send_sge > wire::kMaxParts ||
        cap.max_recv_sge > wire::kMaxParts || cap.max_inline_data > limits().inline_bytes ||
        cap.max_inline_data > wire::kMaxInline)
      return Error(EINVAL);
    if (Used(&Context::pairs) >= limits().pairs) return Error(ENOMEM);
    const uint32_t number = world_.next_handle++;
    QueuePair& pair = context_.pairs[number];
    pair.context = &context_;
    pair.number = number;
    pair.domain = call.pd;
    pair.send_cq = call.send_cq;
    pair.recv_cq = call.recv_cq;
    pair.cap = cap;
    pair.signal_all = call.signal_all != 0;
    world_.pairs[number] = &pair;
    ++domain->second;
    ++send->second.pairs;
    ++receive->second.pairs;
    return {.handle = number, .cap = cap};
  }

  wire::Reply operator()(const wire::ModifyQp& call) {
    auto found = context_.pairs.find(call.handle);
    if (found == context_.pairs.end() || (call.mask & IBV_QP_STATE) == 0) return Error(EINVAL);
    QueuePair& pair = found->second;
    const ibv_qp_state to = call.attributes.qp_state;
    const int needed = AttributeMaskTo(to);
    if (!MayChange(pair.state, to) || (call.mask & ~IBV_QP_STATE) != needed) return Error(EINVAL);
    const int error = Take(call.attributes, to, &pair.attributes);
    if (error != 0) return Error(error);
    if (to == IBV_QPS_ERR) {
      Fail(world_, pair);
    } else if (to == IBV_QPS_RESET) {
      pair.sends.clear();
      pair.receives.clear();
      pair.again_at.reset();
    }
    pair.state = to;
    pair.retries = pair.attributes.retry_cnt;
    pair.not_ready_retries = pair.attributes.rnr_retry;
    return {};
  }
  wire::Reply operator()(const wire::DestroyQp& call) {
    auto pair = context_.pairs.find(call.handle);
    if (pair == context_.pairs.end()) return Error(EINVAL);
    --context_.domains.at(pair->second.domain);
    --context_.queues.at(pair->second.send_cq).pairs;
    --context_.queues.at(pair->second.recv_cq).pairs;
    world_.pairs.erase(call.handle);
    context_.pairs.erase(pair);
    return {};
  }

  wire::Reply operator()(const wire::PostSend& call) {
    if (auto pair = context_.pairs.find(call.qp); pair != context_.pairs.end()) {
      pair->second.sends.push_back(call);
      Progress(world_, pair->second);
    }
    return {};
  }
  wire::Reply operator()(const wire::PostRecv& call) {
    if (auto pair = context_.pairs.find(call.qp); pair != context_.pairs.end()) {
      pair->second.receives.push_back(call);
      Progress(world_, pair->second);
    }
    return {};
  }

 private:
  const Limits& limits() const { return context_.device->spec.limits; }

  const PortSpec* FindPort(uint8_t number) const {
    const auto& ports = context_.device->spec.ports;
    return number == 0 || number > ports.size() ? nullptr : &ports[number - 1u];
  }

  // Of one kind, by everybody who has the device open.
  template <typename Kind>
  uint64_t Used(Kind kind) const {
    uint64_t used = 0;
    for (const Context& context : world_.contexts)
      if (context.device == context_.device) used += (context.*kind).size();
    return used;
  }

  uint64_t LockedBytes() const {
    uint64_t bytes = 0;
    for (const Context& context : world_.contexts)
      if (context.process == context_.process)
        for (const auto& [key, region] : context.regions) bytes += region.length;
    return bytes;
  }

  template <typename Map, typename InUse>
  wire::Reply Destroy(Map* objects, uint32_t handle, InUse in_use) {
    auto object = objects->find(handle);
    if (object == objects->end()) return Error(EINVAL);
    if (in_use(object->second)) {
      ++world_.misuse.destroyed_in_use;
      return Error(EBUSY);
    }
    objects->erase(object);
    return {};
  }

  int MakeSockets(UniqueFd* ours) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    *ours = UniqueFd(ends[0]);
    *along_ = UniqueFd(ends[1]);
    return 0;
  }

  bool MayReachMemory(uint64_t probe) const {
    uint64_t word = 0;
    iovec ours{&word, sizeof(word)}, theirs{reinterpret_cast<void*>(probe), sizeof(word)};
    if (process_vm_readv(context_.process, &ours, 1, &theirs, 1, 0) == sizeof(word)) return true;
    std::fprintf(stderr,
                 "scripted verbs: the memory of process %d cannot be reached (process_vm_readv: %s): is it forbidden "
                 "by kernel.yama.ptrace_scope or by a container's seccomp profile?\n",
                 static_cast<int>(context_.process), strerror(errno));
    return false;
  }

  int Take(const ibv_qp_attr& wish, ibv_qp_state to, ibv_qp_attr* attributes) const {
    if (to == IBV_QPS_INIT) {
      if (FindPort(wish.port_num) == nullptr) return EINVAL;
      attributes->pkey_index = wish.pkey_index;
      attributes->port_num = wish.port_num;
      attributes->qp_access_flags = wish.qp_access_flags;
    } else if (to == IBV_QPS_RTR) {
      const PortSpec& port = *FindPort(attributes->port_num);
      const bool has_gid = wish.ah_attr.grh.sgid_index < port.gids.size() &&
                           RawGidOf(port.gids[wish.ah_attr.grh.sgid_index]) != RawGid{};
      if (wish.path_mtu > port.mtu || wish.max_dest_rd_atomic > kReadsServed) return EINVAL;
      if (!port.infiniband && !wish.ah_attr.is_global) return EINVAL;
      if (wish.ah_attr.is_global && !has_gid) return EINVAL;
      attributes->ah_attr = wish.ah_attr;
      attributes->path_mtu = wish.path_mtu;
      attributes->dest_qp_num = wish.dest_qp_num;
      attributes->rq_psn = wish.rq_psn;
      attributes->max_dest_rd_atomic = wish.max_dest_rd_atomic;
      attributes->min_rnr_timer = wish.min_rnr_timer;
    } else if (to == IBV_QPS_RTS) {
      if (wish.max_rd_atomic > kReadsInitiated) return EINVAL;
      attributes->timeout = wish.timeout;
      attributes->retry_cnt = wish.retry_cnt;
      attributes->rnr_retry = wish.rnr_retry;
      attributes->sq_psn = wish.sq_psn;
      attributes->max_rd_atomic = wish.max_rd_atomic;
    }
    return 0;
  }

  World& world_;
  Context& context_;
  UniqueFd* const along_;
};

template <typename T, typename... Kinds>
bool IsOneOf(const wire::Call& call) {
  return (std::holds_alternative<T>(call) || ... || std::holds_alternative<Kinds>(call));
}

}  // namespace

std::optional<wire::Reply> HandleCall(World& world, Context& context, const wire::Call& call, UniqueFd* along) {
  const bool post = IsOneOf<wire::PostSend, wire::PostRecv>(call);
  const bool destroys = IsOneOf<wire::CloseDevice, wire::DeallocPd, wire::DeregMr, wire::DestroyChannel,
                                wire::DestroyCq, wire::DestroyQp>(call);
  if (!post && !destroys)
    if (int error = world.faults.OnCall(context.process); error != 0) return Error(error);
  const bool opens = IsOneOf<wire::OpenDevice>(call);
  if (opens != (context.device == nullptr)) return post ? std::nullopt : std::optional(Error(EINVAL));
  if (!opens && !post && !destroys && context.device->failed) return Error(EIO);
  wire::Reply reply = std::visit(Kernel(world, context, along), call);
  if (reply.error == EINVAL) ++world.misuse.bad_calls;
  return post ? std::nullopt : std::optional(reply);
}

void Release(World& world, Context& context) {
  for (const auto& [number, pair] : context.pairs) world.pairs.erase(number);
  context.pairs.clear();
  context.queues.clear();
  context.channels.clear();
  context.regions.clear();
  context.domains.clear();
  context.async.Reset();
  context.device.reset();
}

}  // namespace netsense::provider
