#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/grpc/completion.h"
#include "transports/grpc/factory.h"
#include "transports/grpc/prober_stream.h"
#include "transports/grpc/responder_stream.h"
#include "transports/grpc/unary_responder.h"
#include "transports/grpc/unary_session.h"

namespace netsense {
namespace grpc_backend {
namespace {

class GrpcTransport final : public Transport {
 public:
  std::string_view name() const override { return "grpc"; }
  Capabilities capabilities() const override {
    return {.ping = true,
            .stream_to_peer = true,
            .stream_from_peer = true,
            .busy_poll = true,
            .responder_hold = true,
            .max_ping_payload_bytes = kMaxPingPayload,
            .max_message_bytes = kMaxChunkBytes,
            .modes = {kUnary, kStream},
            .options = {TrafficClassOption()}};
  }
  absl::Status availability() const override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    if (connection.request.options().mode() != kStream) return OpenUnarySession(std::move(connection), deadline, stop);
    ASSIGN_OR_RETURN(auto stream, ProberStream::Open(&connection, deadline, stop));
    return MakeFrameSession(std::move(connection), std::move(stream));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    if (connection.request.options().mode() != kStream) return ServeUnary(std::move(connection), limits, stop);
    ASSIGN_OR_RETURN(auto stream, ResponderStream::Accept(&connection, MonotonicNow() + limits.open, stop));
    ShutdownOnStop guard(stop, connection.fd.get());
    return ServeFrames(connection, *stream, limits, stop);
  }
};

}  // namespace
}  // namespace grpc_backend

std::unique_ptr<Transport> MakeGrpcTransport() { return std::make_unique<grpc_backend::GrpcTransport>(); }

}  // namespace netsense
