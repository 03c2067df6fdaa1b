// What the library and the fabric say to each other: plain structs on a SOCK_SEQPACKET socket, one call a packet. Both
// are of one build, so nothing here has a version.
//
// A context is a connection. Each call is answered by one Reply, but for the two posts, which are not answered: as on
// hardware, only their completions tell. Completions stand in a ring of shared memory, so that polling asks nobody.
#pragma once

#include <infiniband/verbs.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <type_traits>
#include <variant>

namespace netsense::provider::wire {

// Where the fabric's folder is: its socket and the made-up /sys lie in it.
inline constexpr char kFabricVariable[] = "NETSENSE_VERBS_FABRIC";
inline constexpr char kSocketName[] = "socket";
inline constexpr char kSysfsName[] = "sys";

inline constexpr uint32_t kMaxInline = 256;
inline constexpr uint32_t kMaxParts = 2;  // scatter/gather elements of a work request

struct OpenDevice {
  char name[IBV_SYSFS_NAME_MAX];
  uint64_t probe;  // the address of a word: can the fabric reach this process's memory?
};                 // answered with a descriptor: where the async events come
struct CloseDevice {};
struct QueryDevice {};
struct QueryPort {
  uint8_t port;
};
struct AllocPd {};
struct DeallocPd {
  uint32_t handle;
};
struct RegMr {
  uint32_t pd;
  uint64_t address, length;
  int access;
};
struct DeregMr {
  uint32_t handle;
};
struct CreateChannel {};  // answered with a descriptor: where the handles of queues with news come
struct DestroyChannel {
  uint32_t handle;
};
struct CreateCq {
  uint32_t entries, channel;  // no channel: 0
};                            // answered with a descriptor: the ring's memory
struct DestroyCq {
  uint32_t handle;
};
struct CreateQp {
  uint32_t pd, send_cq, recv_cq;
  ibv_qp_type type;
  ibv_qp_cap cap;
  int signal_all;
};
struct ModifyQp {
  uint32_t handle;
  ibv_qp_attr attributes;
  int mask;
};
struct DestroyQp {
  uint32_t handle;
};
struct PostSend {
  uint32_t qp;
  uint64_t id;
  ibv_wr_opcode opcode;
  unsigned flags;
  uint32_t immediate;
  uint64_t remote_address;
  uint32_t remote_key;
  uint32_t parts;
  std::array<ibv_sge, kMaxParts> part;
  uint32_t inline_bytes;  // with IBV_SEND_INLINE: they are in `data`, and there are no parts
  std::array<uint8_t, kMaxInline> data;
};
struct PostRecv {
  uint32_t qp;
  uint64_t id;
  uint32_t parts;
  std::array<ibv_sge, kMaxParts> part;
};

using Call =
    std::variant<OpenDevice, CloseDevice, QueryDevice, QueryPort, AllocPd, DeallocPd, RegMr, DeregMr, CreateChannel,
                 DestroyChannel, CreateCq, DestroyCq, CreateQp, ModifyQp, DestroyQp, PostSend, PostRecv>;
static_assert(std::is_trivially_copyable_v<Call>);

struct Reply {
  int error = 0;  // of errno.h; 0 = done
  uint32_t handle = 0;
  uint32_t key = 0;  // of a memory region; lkey and rkey are the same
  ibv_qp_cap cap{};
  ibv_device_attr device{};
  ibv_port_attr port{};
};
static_assert(std::is_trivially_copyable_v<Reply>);

struct AsyncEvent {
  ibv_event_type type;
  uint32_t element;  // the handle of the queue or queue pair, or the port's number
};

struct Completion {
  uint64_t id;
  ibv_wc_status status;
  ibv_wc_opcode opcode;
  uint32_t bytes, immediate, qp;
  unsigned flags;
  uint32_t retired;  // so many posted requests are done with it: those that nobody signalled, too
  bool of_send;
};

// One producer (the fabric), one consumer at a time (whoever polls).
struct Ring {
  std::atomic<uint32_t> produced{0}, consumed{0};
  std::atomic<uint32_t> armed{0};  // the next completion is also told on the channel
  uint32_t entries = 0;

  Completion* slots() { return reinterpret_cast<Completion*>(this + 1); }
  static size_t BytesFor(uint32_t entries) { return sizeof(Ring) + entries * sizeof(Completion); }
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

}  // namespace netsense::provider::wire
