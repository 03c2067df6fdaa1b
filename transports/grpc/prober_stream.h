// The prober's end of a gRPC session's stream.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>

#include "transports/grpc/frame_stream.h"

namespace netsense::grpc_backend {

class ProberStream final : public FrameStream {
 public:
  // Takes the connection's descriptor and leaves another of the same connection in its place, which outlives the
  // stream. Open once the responder's server is up. Codes as Transport::Connect.
  static absl::StatusOr<std::unique_ptr<ProberStream>> Open(DoorConnection* connection, MonotonicTime deadline,
                                                            const std::stop_token& stop);
  ~ProberStream() override;

  // For unary calls beside the stream, one at a time.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  grpc::CompletionQueue& queue() override { return queue_; }
  // The tag with which the next call finishes.
  void* BeginCall() { return Begin(kCallDone); }
  // Until it has: at the deadline, or when stopped, it is cancelled. `received_at`: right after its end was seen.
  absl::Status AwaitCall(grpc::ClientContext& call, MonotonicTime deadline, const std::stop_token& stop,
                         MonotonicTime* received_at);

 private:
  ProberStream(const DoorConnection& connection, UniqueFd fd);
  absl::Status Start(MonotonicTime deadline, const std::stop_token& stop);
  void StartRead(grpc::ByteBuffer* into, void* tag) override { stream_->Read(into, tag); }
  void StartWrite(const grpc::ByteBuffer& message, void* tag) override { stream_->Write(message, tag); }

  std::shared_ptr<grpc::Channel> channel_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

}  // namespace netsense::grpc_backend
