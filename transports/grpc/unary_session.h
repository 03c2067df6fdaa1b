// The prober's end of a gRPC session in mode "unary": a call a ping, and a call a message of a stream.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "transports/transport.h"

namespace netsense::grpc_backend {

// Codes as Transport::Connect.
absl::StatusOr<std::unique_ptr<Session>> OpenUnarySession(DoorConnection connection, MonotonicTime deadline,
                                                          const std::stop_token& stop);

}  // namespace netsense::grpc_backend
