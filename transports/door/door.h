// The responder's side of the door: the one TCP port that a node opens. One thread of its own accepts, authenticates
// and reads the session request of every connection, without blocking on any of them; what comes after belongs to the
// callback.
//
// Strangers cost little: hellos have a fixed size, nothing is allocated for a connection before it is authenticated but
// its slot, a handshake that is not over in time is closed, and when a cap is reached the oldest unfinished handshake
// makes room, so that silent connections cannot keep an honest prober out. With no descriptors left the door drops what
// it cannot serve, pauses for a second, and lives on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/deadlines.h"
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
  std::string token = {};  // empty = none: then only a loopback address is allowed, unless `insecure`
  bool insecure = false;
  std::chrono::milliseconds handshake_limit = deadlines::kHandshake();
  size_t max_handshakes = 256;
  size_t max_handshakes_per_peer = 64;
};

struct DoorCounters {
  uint64_t accepted = 0;  // connections
  uint64_t authenticated = 0;
  uint64_t rejected = 0;       // closed before the session request was complete
  uint64_t token_refused = 0;  // those of them with a missing or wrong token
  std::string last_rejection;  // address and reason, in words
  MonotonicTime last_rejection_at{};
};

class Door {
 public:
  // Called on the door's thread with an authenticated connection and its request; must not block. `grant` is empty.
  using OnRequest = std::function<void(DoorConnection)>;

  // InvalidArgument (no token on an address that is not loopback), AlreadyExists (port taken), Unavailable.
  static absl::StatusOr<std::unique_ptr<Door>> Open(DoorOptions options, OnRequest on_request);
  // Closes the port and every unfinished handshake. Sessions handed over live on.
  ~Door();

  uint16_t port() const { return port_; }
  const DoorOptions& options() const { return options_; }
  DoorCounters counters() const;

 private:
  class Loop;
  Door(DoorOptions options, std::vector<UniqueFd> listeners, OnRequest on_request);

  const DoorOptions options_;
  const uint16_t port_;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace netsense
