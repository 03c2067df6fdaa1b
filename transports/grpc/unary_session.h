// The prober's end of a gRPC session.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "transports/transport.h"

namespace netsense::grpc_backend {

// Codes as Transport::Connect.
absl::StatusOr<std::unique_ptr<Session>> OpenSession(DoorConnection connection, MonotonicTime deadline,
                                                     const std::stop_token& stop);

}  // namespace netsense::grpc_backend
