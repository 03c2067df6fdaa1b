// The listening side of a handshake, for a door, a GCS and whatever else of ours listens. One thread accepts every
// connection and has it prove the token (hello.h), without blocking on any of them; what comes after belongs to the
// callback.
//
// Strangers cost little: hellos have a fixed size, nothing is allocated for a connection before it is authenticated but
// its slot, a handshake that is not over in time is closed, and when a cap is reached the oldest unfinished handshake
// makes room, so that silent connections cannot keep an honest one out. With no descriptors left it drops what it
// cannot serve, pauses for a second, and lives on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/deadlines.h"
#include "base/handshake/frame_seal.h"
#include "base/token_ring.h"
#include "base/unique_fd.h"

namespace netsense {

class HandshakeServer {
 public:
  struct Options {
    std::string what;     // as the log calls it: "door"
    TokenRing token;      // empty = none: then both sides must have none
    bool framed = false;  // one frame (framing.h) follows the proof and belongs to the handshake
    // Connections that begin with HTTP/2's preface are taken without a proof: whoever gets them asks for one.
    bool takes_http2 = false;
    std::string http2_hint = {};    // what the log says, once a minute at most, of one that is refused
    bool proven_elsewhere = false;  // every connection is taken as it comes, without a byte read: TLS asks for a proof
    std::chrono::milliseconds limit = deadlines::kHandshake();
    size_t max_unfinished = 1024;             // as many nodes come at once when a head starts anew
    size_t max_unfinished_per_network = 512;  // PeerNetwork()
  };

  struct Admitted {
    UniqueFd fd;  // non-blocking
    std::string peer;
    uint16_t version = 0;  // of the protocol that was agreed upon; 0 = nothing was proven
    std::string frame;     // the message's bytes; nobody has changed them on the way where the version is 2 or more
    FrameSeal seal;        // for what is answered to it
  };
  // Called on the server's thread; must not block. Says why it does not take the connection; empty = it does.
  using OnAdmitted = std::function<std::string(Admitted)>;

  struct Counters {
    uint64_t accepted = 0;  // connections
    uint64_t authenticated = 0;
    uint64_t rejected = 0;       // closed before all of the handshake was there
    uint64_t token_refused = 0;  // those of them with a missing or wrong token
    std::string last_rejection;  // address and reason, in words
    MonotonicTime last_rejection_at{};
  };

  HandshakeServer(Options options, std::vector<UniqueFd> listeners, OnAdmitted on_admitted);
  // Closes the listeners and every unfinished handshake. What was handed over lives on.
  ~HandshakeServer();

  Counters counters() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace netsense
