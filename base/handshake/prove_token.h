// The connecting side of a handshake (hello.h).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/handshake/frame_seal.h"

namespace netsense {

struct ProvenConnection {
  uint16_t version = 0;            // of the protocol that both will speak
  FrameSeal seal;                  // of frames
  bool wants_token_shown = false;  // HelloOffer's, of the side that listens
};

// Proves the token to whoever listens at the other end of `fd`, a fresh non-blocking connection, and has it proven; an
// empty token is none, and the other side must have none either. Errors: Unimplemented (what answers there begins as
// HTTP/2 does, with its settings), Unauthenticated (the tokens), FailedPrecondition (versions), and as
// base/socket.h.
absl::StatusOr<ProvenConnection> ProveToken(int fd, const std::string& token, MonotonicTime deadline,
                                            std::stop_token stop);

}  // namespace netsense
