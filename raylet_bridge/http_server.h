// The HTTP API of the head's bridge.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

// GET /api/v0/network_topology and GET /healthz; every answer is JSON. A request waits for at most 2 s for its bytes;
// URLs, headers and bodies are bounded at 8 KiB each.
class HttpServer {
 public:
  struct Health {
    bool ok = false;
    std::string json;
  };
  struct Options {
    std::string host;
    uint16_t port = 0;  // 0 = any free one
    std::string token;  // empty = anybody may ask; else /api needs `Authorization: Bearer <token>`: 401 without, 403
                        // with another
    // Called on the server's threads.
    std::function<std::string()> topology;
    std::function<Health()> health;  // answers 200, or 503 when not ok
  };

  // Unavailable: the port is taken, or the address is not this host's.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Options options);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace netsense
