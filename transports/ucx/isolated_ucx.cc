#include "transports/frame.h"
#include "transports/isolated/isolated.h"
#include "transports/ucx/factory.h"

namespace netsense {

Capabilities UcxCapabilities() {
  return {.ping = true,
          .stream_to_peer = true,
          .stream_from_peer = true,
          .busy_poll = true,
          .responder_hold = true,
          .max_ping_payload_bytes = 64 * 1024,
          .max_message_bytes = 8 << 20,
          .modes = {"am"},
          .devices = "a list as UCX_NET_DEVICES",
          .rdma = true,
          .options = {{.name = kUcxTls, .flags = "--ucx-tls", .help = "UCX transports, as UCX_TLS (default ^shm)"},
                      {.name = kUcxRails,
                       .flags = "--ucx-rails",
                       .help = "rails of one UCX stream (default 1)",  // more would spread it over several ports
                       .least = 1,
                       .most = 16}}};
}

std::unique_ptr<Transport> MakeIsolatedUcxTransport() {
  return MakeIsolatedTransport({.name = "ucx",
                                .program = "netsense-ucx",
                                .capabilities = UcxCapabilities(),
                                // UCX's own signal handlers would only print a backtrace into our log.
                                .environment = {"UCX_WARN_UNUSED_ENV_VARS=n", "UCX_HANDLE_ERRORS=none"}});
}

}  // namespace netsense
