// The responder's end of a gRPC session: a server without a listening port, on one connection.
#pragma once

#include "absl/status/status.h"
#include "transports/transport.h"

namespace netsense::grpc_backend {

// Codes as Transport::Serve.
absl::Status Respond(DoorConnection connection, const ServeLimits& limits, std::stop_token stop);

}  // namespace netsense::grpc_backend
