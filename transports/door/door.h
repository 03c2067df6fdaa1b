// The responder's side of the door: the one TCP port that a node opens. Its thread authenticates every connection and
// reads its session request (base/handshake/handshake_server.h); what comes after belongs to the callback.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/handshake/handshake_server.h"
#include "base/token_ring.h"
#include "base/unique_fd.h"
#include "transports/transport.h"

namespace netsense {

struct DoorOptions {
  std::string host = "127.0.0.1";  // empty = all addresses
  uint16_t port = 0;               // 0 = any free port
  std::string netdev = {};         // only by this network device, in and out, whatever the routes say; empty = by any
  // Further addresses of this host, same port, each by its own network device alone. One that cannot be listened on is
  // left out, with a warning; Door::options() has those that it is open on.
  std::vector<std::string> more_hosts = {};
  TokenRing token = {};  // empty = none: then only a loopback address is allowed, unless `insecure`
  bool insecure = false;
  std::chrono::milliseconds handshake_limit = deadlines::kHandshake();
  size_t max_handshakes = 256;
  size_t max_handshakes_per_network = 64;  // PeerNetwork()
};

using DoorCounters = HandshakeServer::Counters;

class Door {
 public:
  // Called on the door's thread with an authenticated connection and its request; must not block. `grant` is empty.
  using OnRequest = std::function<void(DoorConnection)>;

  // InvalidArgument (no token on an address that is not loopback), AlreadyExists (port taken), Unavailable.
  static absl::StatusOr<std::unique_ptr<Door>> Open(DoorOptions options, OnRequest on_request);
  // Closes the port and every unfinished handshake. Sessions handed over live on.
  ~Door() = default;

  uint16_t port() const { return port_; }
  const DoorOptions& options() const { return options_; }
  DoorCounters counters() const;

 private:
  Door(DoorOptions options, std::vector<UniqueFd> listeners, OnRequest on_request);

  const DoorOptions options_;
  const uint16_t port_;
  HandshakeServer server_;
};

// Answers a connection's request, once. Waits for nobody: the answer always fits into the empty socket buffer of a peer
// that reads. False: it does not, or it is gone.
bool AnswerAtDoor(DoorConnection& connection, const v1::SessionReply& reply);

}  // namespace netsense
