// gRPC: the whole public face of this backend.
//
// Both sides hand the door's authenticated connection to gRPC (CreateInsecureChannelFromFd, AddInsecureChannelFromFd),
// so no stranger's byte reaches the HTTP/2 parser and no port is opened. Two modes, and each result says which:
//   "unary"   NetPing and NetBandwidthProbe, the payload in the message, gRPC's own defaults, one call at a time: what
//             Ray's traffic gets.
//   "stream"  one bidirectional stream of raw byte buffers that nobody parses or copies as protobuf, wide flow control:
//   what
//             gRPC can do.
// A session has a completion queue of its own on either side, polled by the thread that waits: spinning when both sides
// agreed to.
#pragma once

#include <memory>

#include "transports/transport.h"

namespace netsense {

std::unique_ptr<Transport> MakeGrpcTransport();

}  // namespace netsense
