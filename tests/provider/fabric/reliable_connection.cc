#include "tests/provider/fabric/reliable_connection.h"

#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstring>
#include <span>

#include "tests/provider/fabric/sysfs_writer.h"

namespace netsense::provider {
namespace {

using Bytes = std::vector<uint8_t>;
using Parts = std::span<const ibv_sge>;

// min_rnr_timer's values, in units of 10 µs.
constexpr std::array<uint32_t, 32> kNotReadyTimes = {
    65536, 1,   2,   3,   4,    6,    8,    12,   16,   24,   32,   48,    64,    96,    128,   192,
    256,   384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152};

bool ReadMemory(pid_t process, uint64_t address, uint8_t* to, size_t bytes) {
  iovec ours{to, bytes}, theirs{reinterpret_cast<void*>(address), bytes};
  return bytes == 0 || process_vm_readv(process, &ours, 1, &theirs, 1, 0) == static_cast<ssize_t>(bytes);
}

bool WriteMemory(pid_t process, uint64_t address, const uint8_t* from, size_t bytes) {
  iovec ours{const_cast<uint8_t*>(from), bytes}, theirs{reinterpret_cast<void*>(address), bytes};
  return bytes == 0 || process_vm_writev(process, &ours, 1, &theirs, 1, 0) == static_cast<ssize_t>(bytes);
}

bool MayUse(const QueuePair& pair, uint32_t key, uint64_t address, uint64_t bytes, int access) {
  auto region = pair.context->regions.find(key);
  return region != pair.context->regions.end() && region->second.domain == pair.domain &&
         (region->second.access & access) == access && region->second.Holds(address, bytes);
}

uint64_t Sum(Parts parts) {
  uint64_t bytes = 0;
  for (const ibv_sge& part : parts) bytes += part.length;
  return bytes;
}

// The request's own bytes; false for memory that is not registered for it.
bool Gather(const QueuePair& pair, const wire::PostSend& request, Bytes* bytes) {
  if ((request.flags & IBV_SEND_INLINE) != 0) {
    bytes->assign(request.data.begin(), request.data.begin() + request.inline_bytes);
    return true;
  }
  const Parts parts(request.part.data(), request.parts);
  bytes->resize(Sum(parts));
  uint8_t* at = bytes->data();
  for (const ibv_sge& part : parts) {
    if (!MayUse(pair, part.lkey, part.addr, part.length, 0) ||
        !ReadMemory(pair.context->process, part.addr, at, part.length))
      return false;
    at += part.length;
  }
  return true;
}

bool Scatter(const QueuePair& pair, Parts parts, std::span<const uint8_t> bytes) {
  for (const ibv_sge& part : parts) {
    const size_t here = std::min<size_t>(part.length, bytes.size());
    if (!MayUse(pair, part.lkey, part.addr, here, IBV_ACCESS_LOCAL_WRITE) ||
        !WriteMemory(pair.context->process, part.addr, bytes.data(), here))
      return false;
    bytes = bytes.subspan(here);
  }
  return true;
}

const PortSpec* PortOf(const QueuePair& pair) {
  const Device& device = *pair.context->device;
  const size_t port = pair.attributes.port_num;
  if (device.failed || port == 0 || port > device.spec.ports.size()) return nullptr;
  const PortSpec& spec = device.spec.ports[port - 1];
  return spec.state == IBV_PORT_ACTIVE ? &spec : nullptr;
}

bool IsAddressOf(const PortSpec& port, const ibv_ah_attr& address) {
  if (port.infiniband && !address.is_global) return port.lid == address.dlid;
  for (const Gid& gid : port.gids)
    if (std::memcmp(RawGidOf(gid).data(), address.grh.dgid.raw, 16) == 0) return true;
  return false;
}

// The other end, when it answers at all: the ports are up, the addresses right, and it expects these very packets.
QueuePair* FindPeer(World& world, const QueuePair& pair) {
  auto found = world.pairs.find(pair.attributes.dest_qp_num);
  if (found == world.pairs.end()) return nullptr;
  QueuePair& peer = *found->second;
  const PortSpec* ours = PortOf(pair);
  const PortSpec* theirs = PortOf(peer);
  if (ours == nullptr || theirs == nullptr || ours->infiniband != theirs->infiniband) return nullptr;
  const bool expects = (peer.state == IBV_QPS_RTR || peer.state == IBV_QPS_RTS) &&
                       peer.attributes.dest_qp_num == pair.number && peer.attributes.rq_psn == pair.attributes.sq_psn;
  return expects && IsAddressOf(*theirs, pair.attributes.ah_attr) && IsAddressOf(*ours, peer.attributes.ah_attr)
             ? &peer
             : nullptr;
}

template <typename Duration>
void Wait(const World& world, QueuePair& pair, Duration time) {
  pair.again_at = MonotonicNow() + std::chrono::duration_cast<std::chrono::nanoseconds>(time * world.retry_time_scale);
}

// No acknowledgement: again after the timeout, as often as the pair was told.
void RetryTransport(World& world, QueuePair& pair) {
  if (pair.attributes.timeout == 0) return Wait(world, pair, std::chrono::hours(1));
  if (pair.retries-- == 0) return FinishSend(world, pair, IBV_WC_RETRY_EXC_ERR);
  Wait(world, pair, std::chrono::nanoseconds(4096) * (1ull << pair.attributes.timeout));
}

void RetryNotReady(World& world, QueuePair& pair, const QueuePair& peer) {
  constexpr int kForEver = 7;
  if (pair.attributes.rnr_retry != kForEver && pair.not_ready_retries-- == 0)
    return FinishSend(world, pair, IBV_WC_RNR_RETRY_EXC_ERR);
  Wait(world, pair, std::chrono::microseconds(10) * kNotReadyTimes[peer.attributes.min_rnr_timer % 32]);
}

// The other end refuses: it is in error, too, and its owner is told.
void Refuse(World& world, QueuePair& pair, QueuePair& peer, ibv_wc_status status, ibv_event_type event) {
  FinishSend(world, pair, status);
  Fail(world, peer);
  Raise(*peer.context, event, peer.number);
}

void Received(World& world, QueuePair& peer, const wire::PostSend& request, const wire::PostRecv& receive,
              ibv_wc_status status, size_t bytes) {
  const bool immediate = request.opcode == IBV_WR_SEND_WITH_IMM || request.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  Complete(world, *peer.context, peer.recv_cq,
           {.id = receive.id,
            .status = status,
            .opcode = request.opcode == IBV_WR_RDMA_WRITE_WITH_IMM ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV,
            .bytes = static_cast<uint32_t>(bytes),
            .immediate = request.immediate,
            .qp = peer.number,
            .flags = immediate ? unsigned{IBV_WC_WITH_IMM} : 0u,
            .retired = 1,
            .of_send = false});
}

void CarryOutRead(World& world, QueuePair& pair, QueuePair& peer, const wire::PostSend& request) {
  const Parts parts(request.part.data(), request.parts);
  if (pair.attributes.max_rd_atomic == 0) return FinishSend(world, pair, IBV_WC_LOC_QP_OP_ERR);
  if (peer.attributes.max_dest_rd_atomic == 0)
    return Refuse(world, pair, peer, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
  Bytes bytes(Sum(parts));
  const bool allowed = (peer.attributes.qp_access_flags & IBV_ACCESS_REMOTE_READ) != 0 &&
                       MayUse(peer, request.remote_key, request.remote_address, bytes.size(), IBV_ACCESS_REMOTE_READ);
  if (!allowed && !bytes.empty()) return Refuse(world, pair, peer, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
  if (!ReadMemory(peer.context->process, request.remote_address, bytes.data(), bytes.size()))
    return Refuse(world, pair, peer, IBV_WC_REM_OP_ERR, IBV_EVENT_QP_FATAL);
  FinishSend(world, pair, Scatter(pair, parts, bytes) ? IBV_WC_SUCCESS : IBV_WC_LOC_PROT_ERR,
             static_cast<uint32_t>(bytes.size()));
}

// SEND and RDMA WRITE, with immediate data or without.
void CarryOutSend(World& world, QueuePair& pair, QueuePair& peer, const wire::PostSend& request, Bytes& bytes,
                  const std::optional<WorkFault>& fault) {
  const bool write = request.opcode == IBV_WR_RDMA_WRITE || request.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  if (fault && fault->kind == WorkFault::Kind::kDamage && fault->offset < bytes.size()) bytes[fault->offset] ^= 0xff;
  if (write && !bytes.empty()) {
    if ((peer.attributes.qp_access_flags & IBV_ACCESS_REMOTE_WRITE) == 0 ||
        !MayUse(peer, request.remote_key, request.remote_address, bytes.size(), IBV_ACCESS_REMOTE_WRITE))
      return Refuse(world, pair, peer, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
    if (!WriteMemory(peer.context->process, request.remote_address, bytes.data(), bytes.size()))
      return RetryTransport(world, pair);  // its process is just going
  }
  if (request.opcode != IBV_WR_RDMA_WRITE) {
    const wire::PostRecv receive = peer.receives.front();
    peer.receives.pop_front();
    const Parts parts(receive.part.data(), receive.parts);
    ibv_wc_status theirs = IBV_WC_SUCCESS;
    if (!write && bytes.size() > Sum(parts))
      theirs = IBV_WC_LOC_LEN_ERR;
    else if (!write && !Scatter(peer, parts, bytes))
      theirs = IBV_WC_LOC_PROT_ERR;
    if (!fault || fault->kind != WorkFault::Kind::kLoseReceived)
      Received(world, peer, request, receive, theirs, bytes.size());
    if (theirs != IBV_WC_SUCCESS) {
      Fail(world, peer);
      return FinishSend(world, pair, theirs == IBV_WC_LOC_LEN_ERR ? IBV_WC_REM_INV_REQ_ERR : IBV_WC_REM_OP_ERR);
    }
  }
  FinishSend(world, pair, IBV_WC_SUCCESS, static_cast<uint32_t>(bytes.size()),
             fault && fault->kind == WorkFault::Kind::kLoseSent);
}

void CarryOut(World& world, QueuePair& pair) {
  const wire::PostSend request = pair.sends.front();
  Bytes bytes;
  if (request.opcode != IBV_WR_RDMA_READ && !Gather(pair, request, &bytes))
    return FinishSend(world, pair, IBV_WC_LOC_PROT_ERR);
  QueuePair* peer = FindPeer(world, pair);
  if (peer == nullptr) return RetryTransport(world, pair);
  if (pair.attributes.path_mtu > peer->attributes.path_mtu)  // packets that are longer than it takes
    return Refuse(world, pair, *peer, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
  const bool takes_receive = request.opcode != IBV_WR_RDMA_READ && request.opcode != IBV_WR_RDMA_WRITE;
  if (takes_receive && peer->receives.empty()) return RetryNotReady(world, pair, *peer);
  const auto fault = world.faults.OnWork(request.opcode);
  if (fault && fault->kind == WorkFault::Kind::kStatus) return FinishSend(world, pair, fault->status);
  if (request.opcode == IBV_WR_RDMA_READ) return CarryOutRead(world, pair, *peer, request);
  CarryOutSend(world, pair, *peer, request, bytes, fault);
}

}  // namespace

void Progress(World& world, QueuePair& pair) {
  if (pair.state == IBV_QPS_ERR) return Flush(world, pair);
  while (pair.state == IBV_QPS_RTS && !pair.sends.empty() && (!pair.again_at || MonotonicNow() >= *pair.again_at)) {
    pair.again_at.reset();
    CarryOut(world, pair);
    if (pair.again_at) return;
  }
}

}  // namespace netsense::provider
