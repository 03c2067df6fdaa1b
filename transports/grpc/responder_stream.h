// The responder's end of a gRPC session's stream.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <memory>

#include "transports/grpc/frame_stream.h"
#include "transports/grpc/server.h"

namespace netsense::grpc_backend {

class ResponderStream final : public FrameStream {
 public:
  // Starts a server on the connection (as SessionServer::Start) and waits for the prober to open the stream.
  static absl::StatusOr<std::unique_ptr<ResponderStream>> Accept(DoorConnection* connection, MonotonicTime deadline,
                                                                 const std::stop_token& stop);

 private:
  ResponderStream(std::unique_ptr<SessionServer> server, const DoorConnection& connection);
  grpc::CompletionQueue& queue() override { return server_->queue(); }
  void StartRead(grpc::ByteBuffer* into, void* tag) override { stream_.Read(into, tag); }
  void StartWrite(const grpc::ByteBuffer& message, void* tag) override { stream_.Write(message, tag); }

  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_{&context_};
  const std::unique_ptr<SessionServer> server_;  // last: its end takes the events of what stands above
};

}  // namespace netsense::grpc_backend
