// Raw TCP: the whole public face of this backend.
//
// Ping: one message of a 32-byte header and the payload each way on a connection that stays open, timed by
// CLOCK_MONOTONIC right around send and receive; the responder reports how long it held the message. Stream: chunks on
// the same connection; the receiver lets the kernel drop the payload (recv with MSG_TRUNC), counts, and reports.
#pragma once

#include <memory>

#include "transports/transport.h"

namespace netsense {

std::unique_ptr<Transport> MakeTcpTransport();

}  // namespace netsense
