// The same two gRPC services that netsense uses of Ray's GCS, served from memory: what a cluster without Ray meets at.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/token_ring.h"

namespace netsense {

// Behaves as Ray's GCS does, with these differences: RegisterNode is also the heartbeat, so that a node not heard for
// `node_timeout` is DEAD, and one that registers again is ALIVE again (its bridge was only frozen); a node id of a
// wrong length is refused instead of ending the process; nothing survives a restart.
//
// Bounds: 10,000 nodes of 4 KiB each (those dead for an hour are forgotten), 100,000 keys of at most 1 KiB with values
// of at most 1 MiB, 1 GiB in all. What exceeds them is refused with ResourceExhausted or InvalidArgument.
//
// Who connects proves the token by the hello of the door (base/handshake), before gRPC's parser meets a byte; with TLS
// by its certificate. Connections are accepted here and not by gRPC, which stops accepting for ever when it once has no
// descriptor. Each has few calls at a time and an age.
class EmbeddedGcs {
 public:
  struct Options {
    std::string listen;  // address:port; port 0 = any free one
    TokenRing token;     // empty = anybody may call
    // Takes plain gRPC, too, as bridges of releases before protocol version 2 speak it: then each call must carry
    // `authorization: Bearer <token>`, as it must with TLS.
    bool allow_plain = false;
    std::chrono::milliseconds node_timeout = deadlines::kNodeSilence();
    size_t max_connections_per_address =
        4096;  // behind one address may be a whole cluster (NAT), with two of each node
    std::function<MonotonicTime()> clock = MonotonicNow;
  };

  // Serves until destroyed, on gRPC's threads. With RAY_USE_TLS=1 by mutual TLS (tls.h). Unavailable: the port is taken
  // or the address is not this host's; FailedPrecondition: a TLS file can't be read.
  static absl::StatusOr<std::unique_ptr<EmbeddedGcs>> Start(const Options& options);
  ~EmbeddedGcs();
  EmbeddedGcs(const EmbeddedGcs&) = delete;
  EmbeddedGcs& operator=(const EmbeddedGcs&) = delete;

  // The port it listens on.
  uint16_t port() const;

 private:
  class Server;
  explicit EmbeddedGcs(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace netsense
