// UCX: the whole public face of this backend.
//
// Worker addresses go over the door's connection, everything after that is active messages: a frame header (transports/
// frame.h) and the payload. Bandwidth is chunks of 1 MiB, a few under way at once; UCX chooses eager or rendezvous. The
// device is the one that the door's address belongs to (and the RDMA device on it), shared memory is left out: what is
// measured is the network. TransportOptions or UCX's own environment (UCX_NET_DEVICES, UCX_TLS) say otherwise.
//
// UCX aborts its process on bad input, so MakeUcxTransport runs in the program netsense-ucx, a child of whoever
// measures, and MakeIsolatedUcxTransport stands for it there.
#pragma once

#include <memory>

#include "transports/transport.h"

namespace netsense {

// Options.
inline constexpr char kUcxTls[] = "ucx-tls", kUcxRails[] = "ucx-rails";

std::unique_ptr<Transport> MakeUcxTransport();
std::unique_ptr<Transport> MakeIsolatedUcxTransport();
Capabilities UcxCapabilities();

}  // namespace netsense
