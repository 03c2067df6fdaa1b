// The node's end of a session for orders: measures towards a third party because a coordinator asks (`netsense-bench
// matrix`), by the same code as a person's `ping` and `bw`.
//
// An order makes this node send traffic to an address that somebody else chose. That is why
//   - only who passed the door gives orders, and Responder admits them only where the door has a token, or nobody but
//     this host can come in, or a person said that anybody may;
//   - a target is a numeric address and answers as a netsense door: it has to prove the same token before anything but
//     the handshake is sent, and the node offers it no other;
//   - a stream needs the node's own port from its gate, as any other stream, and has the responder's limits of bytes
//   and
//     time; no order runs longer than that time; pings are small and at most one a millisecond;
//   - one order runs at a time in a session, and ends when the coordinator's connection closes.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "base/deadlines.h"
#include "base/handshake/frame_seal.h"
#include "base/token_ring.h"
#include "base/unique_fd.h"
#include "engine/pinning.h"
#include "engine/port_gate.h"
#include "transports/registry.h"

namespace netsense {

struct OrderLimits {
  TokenRing token;                // proved to targets; empty = none
  uint64_t max_stream_bytes = 0;  // the largest number = no limit: then a stream may be bounded by a duration alone
  std::chrono::nanoseconds max_order{};
  std::chrono::nanoseconds idle = deadlines::kOrderIdle();  // no order for so long: the session is closed
  bool allow_busy_poll = false;
  const Pinning* pinning = nullptr;  // null = threads stay where they are
};

// Blocks until the coordinator leaves (Ok), says nonsense, stays idle for too long (DeadlineExceeded), or `stop`
// (Cancelled). What an order fails with is its answer, and no end of the session.
absl::Status ServeOrders(UniqueFd connection, FrameSeal seal, const TransportRegistry& transports, PortGate* gate,
                         const OrderLimits& limits, const std::stop_token& stop);

}  // namespace netsense
