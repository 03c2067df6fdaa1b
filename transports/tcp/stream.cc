#include "transports/tcp/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/handshake/broken_protocol.h"
#include "base/status_macros.h"
#include "transports/stream_meter.h"
#include "transports/stream_receiver.h"

namespace netsense::tcp {
namespace {

// A header for each of many small messages would be a good part of what is sent: they share one.
uint32_t ChunkBytesOf(uint32_t message_bytes) {
  constexpr uint32_t kShared = 64 * 1024, kMessages = 1024;
  return message_bytes >= kShared ? message_bytes : std::min(kShared / message_bytes, kMessages) * message_bytes;
}

absl::Status SendChunks(Channel& channel, const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                        const std::stop_token& stop, SendMeter* meter) {
  SendBounds bounds = SendBoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
  const uint32_t chunk_bytes = ChunkBytesOf(message_bytes);
  PageSender pages;
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = channel.nonce()};
  std::array<uint8_t, kHeaderBytes> encoded;
  while (bounds.GoesOn()) {
    header.payload_bytes = bounds.Next(chunk_bytes);
    EncodeHeader(header, encoded.data());
    RETURN_IF_ERROR(channel.Send(encoded, stop, MSG_MORE));
    for (uint32_t in_chunk = header.payload_bytes; in_chunk > 0;) {
      const uint32_t bytes = std::min(in_chunk, message_bytes);
      RETURN_IF_ERROR(channel.SendPages(pages, bytes, stop));
      in_chunk -= bytes;
    }
    bounds.left -= header.payload_bytes;
    meter->Add(header.payload_bytes, MonotonicNow());
    ++header.sequence;
  }
  header.kind = FrameKind::kStreamEnd;
  header.payload_bytes = 0;
  EncodeHeader(header, encoded.data());
  return channel.Send(encoded, stop);
}

}  // namespace

absl::StatusOr<StreamSample::Sent> SendStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes,
                                              MonotonicTime deadline, const std::stop_token& stop) {
  channel.SetTimeout(deadline);
  channel.SetBlocking(false);
  SendMeter meter(spec.moved);
  auto status = SendChunks(channel, spec, max_bytes, deadline, stop, &meter);
  channel.SetBlocking(true);
  if (!status.ok()) return status;
  return meter.sent();
}

namespace {

// What receives, until it has, until the stream stalls, or until the deadline.
template <typename Receive>
absl::Status WhileItMoves(Channel& channel, StreamReceiver& receiver, const Receive& receive) {
  while (true) {
    const MonotonicTime until = receiver.until();
    channel.SetTimeout(until);
    auto status = receive(until);
    if (!absl::IsDeadlineExceeded(status)) return status;
    RETURN_IF_ERROR(receiver.Waited());
  }
}

}  // namespace

absl::StatusOr<StreamSample> ReceiveStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes,
                                           MonotonicTime deadline, const std::stop_token& stop) {
  StreamReceiver receiver(spec, max_bytes, deadline);
  while (!spec.finish.stop_requested()) {
    FrameHeader header;
    auto status = WhileItMoves(channel, receiver,
                               [&](MonotonicTime until) { return channel.ReceiveHeader(until, stop, &header); });
    if (!status.ok()) return status;
    if (header.payload_bytes > (header.kind == FrameKind::kPong ? kMaxPingPayload : kMaxMessage))
      return BrokenProtocol("a frame larger than allowed");
    ASSIGN_OR_RETURN(auto part, receiver.Judge(header));
    if (part == StreamReceiver::Part::kEnd) break;
    for (size_t left = header.payload_bytes; left > 0;) {
      size_t dropped = 0;
      status =
          WhileItMoves(channel, receiver, [&](MonotonicTime) { return channel.DropPayload(left, stop, &dropped); });
      if (!status.ok()) return status;
      left -= dropped;
      status = receiver.Count(part == StreamReceiver::Part::kChunk ? dropped : 0, MonotonicNow());
      if (!status.ok()) return status;
    }
  }
  return receiver.Finish();
}

}  // namespace netsense::tcp
