// The library's own objects: what libibverbs' structs are the public part of.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "tests/provider/wire.h"

namespace netsense::provider {

// A completion queue. `mutex`, `cond` and the counters of ibv_cq are for events that were read and not acknowledged.
struct Queue : ibv_cq {
  wire::Ring* ring = nullptr;
  size_t ring_bytes = 0;
  std::mutex polling;
  uint32_t events_read = 0, async_events_read = 0;
};

struct Pair : ibv_qp {
  uint32_t max_send = 0, max_recv = 0, max_inline = 0;
  std::atomic<uint32_t> sends{0}, receives{0};  // posted and not done with
  uint32_t events_read = 0;
};

struct Context : ibv_context {
  // Closes nothing yet: close_device does.
  explicit Context(UniqueFd fabric);

  // Asks the fabric; EIO when it is gone. `descriptor` takes the one that comes along with the answer.
  wire::Reply Ask(const wire::Call& call, UniqueFd* descriptor = nullptr);
  // For what is not answered. An errno.
  int Tell(const wire::Call& call);

  Queue* FindQueue(uint32_t handle);
  Pair* FindPair(uint32_t number);

  UniqueFd fabric, async;
  std::mutex asking;
  std::mutex objects;
  std::map<uint32_t, Queue*> queues;
  std::map<uint32_t, Pair*> pairs;  // by number, which is also the handle
};

// What libibverbs does with a null pointer: `made` or nullptr with errno.
template <typename T>
T* MadeOr(int error, T* made) {
  if (error == 0) return made;
  errno = error;
  return nullptr;
}

// What a device's own library does behind verbs.h's inline functions (queues.cc).
int PollCq(ibv_cq* queue, int most, ibv_wc* completions);
int RequestNotification(ibv_cq* queue, int solicited_only);
int PostSend(ibv_qp* pair, ibv_send_wr* request, ibv_send_wr** bad);
int PostRecv(ibv_qp* pair, ibv_recv_wr* request, ibv_recv_wr** bad);

// The fabric's folder; empty where there is none, and then there are no devices.
std::string FabricFolder();

}  // namespace netsense::provider
