// The responder's end of a gRPC session in mode "unary".
#pragma once

#include "absl/status/status.h"
#include "transports/transport.h"

namespace netsense::grpc_backend {

// Codes as Transport::Serve.
absl::Status ServeUnary(DoorConnection connection, const ServeLimits& limits, const std::stop_token& stop);

}  // namespace netsense::grpc_backend
