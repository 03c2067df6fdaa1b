// What the kernel and the device hold for the library: a context, and what was made in it.
#pragma once

#include <sys/mman.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "tests/provider/fabric/device_spec.h"
#include "tests/provider/wire.h"

namespace netsense::provider {

// One that comes anew under the name of another is another device.
struct Device {
  DeviceSpec spec;
  bool listed = true;   // has its entry in /sys
  bool failed = false;  // taken away from its users: every call is EIO but for those that destroy
};

struct Region {
  uint32_t domain = 0;
  uint64_t address = 0, length = 0;
  int access = 0;

  bool Holds(uint64_t at, uint64_t bytes) const {
    return at >= address && bytes <= length && at - address <= length - bytes;
  }
};

struct Channel {
  UniqueFd events;
  uint32_t queues = 0;
};

struct CompletionQueue {
  CompletionQueue() = default;
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;
  ~CompletionQueue() {
    if (ring != nullptr) munmap(ring, wire::Ring::BytesFor(entries));
  }

  wire::Ring* ring = nullptr;
  uint32_t entries = 0;
  uint32_t channel = 0;
  uint32_t pairs = 0;
  bool overrun = false;
};

struct Context;

struct QueuePair {
  Context* context = nullptr;
  uint32_t number = 0, domain = 0, send_cq = 0, recv_cq = 0;
  ibv_qp_cap cap{};
  bool signal_all = false;
  ibv_qp_state state = IBV_QPS_RESET;
  ibv_qp_attr attributes{};  // all that was ever set
  std::deque<wire::PostSend> sends;
  std::deque<wire::PostRecv> receives;
  // For the first of `sends`.
  std::optional<MonotonicTime> again_at;
  int retries = 0, not_ready_retries = 0;
  uint32_t unsignaled = 0;  // done, and not yet told by a completion
};

struct Context {
  UniqueFd connection;
  pid_t process = 0;
  std::shared_ptr<Device> device;  // none before OpenDevice
  UniqueFd async;
  std::map<uint32_t, uint32_t> domains;  // and how much is in each
  std::map<uint32_t, Region> regions;    // by key
  std::map<uint32_t, Channel> channels;
  std::map<uint32_t, CompletionQueue> queues;
  std::map<uint32_t, QueuePair> pairs;

  size_t objects() const { return domains.size() + regions.size() + channels.size() + queues.size() + pairs.size(); }
};

// How many there are of each.
struct Objects {
  size_t contexts = 0, domains = 0, regions = 0, channels = 0, queues = 0, pairs = 0;
  size_t all() const { return contexts + domains + regions + channels + queues + pairs; }
};

// What a program must not do, counted since the fabric began.
struct Misuse {
  size_t left_at_close = 0;     // objects that were there when their context was closed
  size_t destroyed_in_use = 0;  // EBUSY
  size_t bad_calls = 0;         // EINVAL
};

}  // namespace netsense::provider
