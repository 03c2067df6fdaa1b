#include "transports/grpc/frame_stream.h"

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense::grpc_backend {

absl::Status FrameStream::Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) {
  const grpc::Slice slice(frame.data(), frame.size());
  outgoing_ = grpc::ByteBuffer(&slice, 1);
  return Await(kWritten, deadline, stop);  // gRPC takes one write at a time
}

absl::Status FrameStream::Post() {
  StartWrite(outgoing_, Begin(kWritten));
  return absl::OkStatus();
}

absl::Status FrameStream::SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) {
  RETURN_IF_ERROR(Await(kWritten, deadline, stop));
  StartWrite(ChunkMessage(header), Begin(kWritten));
  return Await(kWritten, deadline, stop);
}

absl::Status FrameStream::Flush(MonotonicTime deadline, const std::stop_token& stop) {
  return Await(kWritten, deadline, stop);
}

absl::StatusOr<FrameCarrier::Incoming> FrameStream::Receive(MonotonicTime deadline, const std::stop_token& stop) {
  RETURN_IF_ERROR(Await(kRead, deadline, stop));
  Incoming incoming;
  incoming.received_at = read_at_;
  RawFrame frame;
  const bool good = RawFrame::Parse(incoming_, nonce_, &frame);
  ReadNext();
  if (!good) return BrokenProtocol("not a frame of this session");
  incoming.header = frame.header;
  if (frame.header.kind == FrameKind::kChunk) return incoming;
  if (frame.header.payload_bytes > kMaxPingPayload) return BrokenProtocol("a frame larger than allowed");
  incoming.payload = Join(frame.payload);
  return incoming;
}

std::optional<uint32_t> FrameStream::retransmits() const { return Retransmits(fd_); }

void* FrameStream::Begin(Event event) {
  under_way_ |= 1u << event;
  return Tag(event);
}

absl::Status FrameStream::Await(Event event, MonotonicTime deadline, const std::stop_token& stop) {
  const uint32_t bit = 1u << event;
  while ((under_way_ & bit) != 0 && !over_) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (!TakeOne(deadline, stop) && MonotonicNow() >= deadline) return absl::DeadlineExceededError("no answer in time");
  }
  if (event == kCallDone && (under_way_ & bit) == 0) return absl::OkStatus();
  if (!over_) return absl::OkStatus();
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  return absl::UnavailableError("the peer closed the connection");
}

void FrameStream::Finish(Event event) {
  while ((under_way_ & (1u << event)) != 0) TakeOne(MonotonicTime::max(), {});
}

// False when none came until the deadline.
bool FrameStream::TakeOne(MonotonicTime deadline, const std::stop_token& stop) {
  auto event = NextCompletion(queue(), busy_poll_, deadline, stop);
  if (!event) return false;
  if (event->tag == kRead) read_at_ = MonotonicNow();
  under_way_ &= ~(1u << event->tag);
  if (event->tag == kOver || (!event->ok && event->tag != kCallDone)) over_ = true;
  return true;
}

}  // namespace netsense::grpc_backend
