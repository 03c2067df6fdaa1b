// Frames over the bidirectional stream that lives as long as a gRPC session: mode "stream", and the life line of mode
// "unary". Once it is open both ends are alike.
#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/support/byte_buffer.h>

#include "transports/frame_session.h"
#include "transports/grpc/completion.h"

namespace netsense::grpc_backend {

// Used by one thread, which waits on the stream's completion queue.
class FrameStream : public FrameCarrier {
 public:
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Post() override;
  absl::StatusOr<Incoming> Receive(MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Flush(MonotonicTime deadline, const std::stop_token& stop) override;

  std::optional<uint32_t> retransmits() const override;
  uint32_t max_ping_payload() const override { return kMaxPingPayload; }
  uint32_t usual_chunk() const override { return kChunkBytes; }
  uint32_t max_chunk() const override { return kMaxChunkBytes; }
  SessionDetails details() const override { return {.mode = kStream, .device = ""}; }

 protected:
  // `fd`: of the connection, and outlives the stream.
  FrameStream(int fd, uint64_t nonce, bool busy_poll) : fd_(fd), nonce_(nonce), busy_poll_(busy_poll) {}

  enum Event : intptr_t {
    kOpened = 1,  // each step of it
    kRead,
    kWritten,
    kOver,      // the call has ended; comes unasked
    kCallDone,  // a unary call beside the stream; its own status says how it went
  };
  virtual grpc::CompletionQueue& queue() = 0;
  virtual void StartRead(grpc::ByteBuffer* into, void* tag) = 0;
  virtual void StartWrite(const grpc::ByteBuffer& message, void* tag) = 0;

  // Starts something whose end is `event`, of which one is under way at a time.
  void* Begin(Event event);
  void ReadNext() { StartRead(&incoming_, Begin(kRead)); }
  // Until what was begun has ended. Unavailable: the stream is over.
  absl::Status Await(Event event, MonotonicTime deadline, const std::stop_token& stop);
  // The same of something that was cancelled.
  void Finish(Event event);

 private:
  bool TakeOne(MonotonicTime deadline, const std::stop_token& stop);

  const int fd_;
  const uint64_t nonce_;
  const bool busy_poll_;
  grpc::ByteBuffer incoming_, outgoing_;
  MonotonicTime read_at_{};
  uint32_t under_way_ = 0;  // a bit an event
  bool over_ = false;
};

}  // namespace netsense::grpc_backend
