#include "transports/stream_receiver.h"

#include "base/handshake/broken_protocol.h"

namespace netsense {

absl::Status StreamsAreGranted(const v1::OpenSession& request) {
  if (request.purpose() == v1::SESSION_PURPOSE_STREAM) return absl::OkStatus();
  return absl::PermissionDeniedError("a stream in a session that was granted for pings");
}

absl::StatusOr<StreamSpec> ReadOrder(const v1::OpenSession& request, std::span<const uint8_t> payload,
                                     uint32_t max_message_bytes) {
  if (auto status = StreamsAreGranted(request); !status.ok()) return status;
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
      if (auto status = Announce(header.payload_bytes); !status.ok()) return status;
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
  if (auto moves = meter_.Look(now); !moves.ok()) return moves;
  if (now >= deadline_) return absl::DeadlineExceededError("the stream did not end in time");
  return absl::OkStatus();
}

}  // namespace netsense
