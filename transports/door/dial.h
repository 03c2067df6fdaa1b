// The prober's side of the door.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/socket.h"
#include "base/token_ring.h"
#include "transports/transport.h"

namespace netsense {

struct DialTarget {
  std::string host;
  uint16_t port = 0;
  LocalEnd from = {};
  TokenRing token = {};  // empty = none; where one is refused the next is shown, over another connection
};

// Connects, proves the token both ways, and asks for the session. The grant must come from `request.target_node_id`
// when that is set. Codes as in transport.h. Blocks until `deadline`, and for at most deadlines::kHandshake once
// connected.
absl::StatusOr<DoorConnection> DialDoor(const DialTarget& target, const v1::OpenSession& request,
                                        MonotonicTime deadline, std::stop_token stop);

}  // namespace netsense
