#include "transports/stream_receiver.h"

#include "base/handshake/broken_protocol.h"
#include "base/status_macros.h"

namespace netsense {

absl::Status StreamsAreGranted(const v1::OpenSession& request) {
  if (request.purpose() == v1::SESSION_PURPOSE_STREAM) return absl::OkStatus();
  return absl::PermissionDeniedError("a stream in a session that was granted for pings");
}

absl::StatusOr<StreamSpec> ReadOrder(const v1::OpenSession& request, std::span<const uint8_t> payload,
                                     uint32_t max_message_bytes) {
  RETURN_IF_ERROR(StreamsAreGranted(request));
  v1::StreamOrder order;
  if (!ParsePayload(payload, &order)) return absl::InvalidArgumentError("a stream order that cannot be read");
  auto spec = SpecOf(order);
  if (spec.ok() && spec->message_bytes > max_message_bytes)
    return absl::InvalidArgumentError("a stream of larger messages than this transport has");
  return spec;
}

absl::StatusOr<StreamReceiver::Part> StreamReceiver::Judge(const FrameHeader& header) {
  switch (header.kind) {
    case FrameKind::kStreamEnd:
      return Part::kEnd;
    case FrameKind::kPong:
      return Part::kLateEcho;
    case FrameKind::kChunk:
      RETURN_IF_ERROR(Announce(header.payload_bytes));
      return Part::kChunk;
    default:
      return BrokenProtocol("a frame that does not belong into a stream");
  }
}

absl::Status StreamReceiver::Announce(uint64_t bytes) {
  if (bytes > max_bytes_ - announced_)
    return absl::ResourceExhaustedError("the stream is longer than the session was granted");
  announced_ += bytes;
  return absl::OkStatus();
}

absl::Status StreamReceiver::Count(uint64_t bytes, MonotonicTime now) {
  if (bytes > 0) meter_.Add(bytes, now);
  RETURN_IF_ERROR(meter_.Look(now));
  if (now >= deadline_) return absl::DeadlineExceededError("the stream did not end in time");
  return absl::OkStatus();
}

}  // namespace netsense
