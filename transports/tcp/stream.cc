#include "transports/tcp/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/handshake/broken_protocol.h"
#include "transports/stream_meter.h"

namespace netsense::tcp {
namespace {

// A header for each of many small messages would be a good part of what is sent: they share one.
uint32_t ChunkBytesOf(uint32_t message_bytes) {
  constexpr uint32_t kShared = 64 * 1024, kMessages = 1024;
  return message_bytes >= kShared ? message_bytes : std::min(kShared / message_bytes, kMessages) * message_bytes;
}

absl::Status SendChunks(Channel& channel, const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                        const std::stop_token& stop, SendMeter* meter) {
  SendBounds bounds = BoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
  const uint32_t chunk_bytes = ChunkBytesOf(message_bytes);
  PageSender pages;
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = channel.nonce()};
  std::array<uint8_t, kHeaderBytes> encoded;
  while (bounds.GoesOn()) {
    header.payload_bytes = bounds.Next(chunk_bytes);
    EncodeHeader(header, encoded.data());
    if (auto status = channel.Send(encoded, stop, MSG_MORE); !status.ok()) return status;
    for (uint32_t in_chunk = header.payload_bytes; in_chunk > 0;) {
      const uint32_t bytes = std::min(in_chunk, message_bytes);
      if (auto status = channel.SendPages(pages, bytes, stop); !status.ok()) return status;
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
absl::Status WhileItMoves(StreamMeter& meter, MonotonicTime deadline, const Receive& receive) {
  while (true) {
    const MonotonicTime until = std::min(deadline, meter.look_at());
    auto status = receive(until);
    if (!absl::IsDeadlineExceeded(status) || until >= deadline) return status;
    if (auto moves = meter.Look(MonotonicNow()); !moves.ok()) return moves;
  }
}

}  // namespace

absl::StatusOr<StreamSample> ReceiveStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes,
                                           MonotonicTime deadline, const std::stop_token& stop) {
  StreamMeter meter(spec.window, spec.bytes, spec.moved);
  uint64_t announced = 0;
  while (true) {
    if (spec.finish.stop_requested()) return meter.Finish();
    FrameHeader header;
    auto status = WhileItMoves(meter, deadline, [&](MonotonicTime until) {
      channel.SetTimeout(until);
      return channel.ReceiveHeader(until, stop, &header);
    });
    if (!status.ok()) return status;
    if (header.kind == FrameKind::kStreamEnd) return meter.Finish();
    // The late echo of a ping that was given up is dropped.
    const bool late_echo = header.kind == FrameKind::kPong && header.payload_bytes <= kMaxPingPayload;
    if (header.kind != FrameKind::kChunk && !late_echo)
      return BrokenProtocol("a frame that does not belong into a stream");
    if (header.payload_bytes > kMaxMessage) return BrokenProtocol("a chunk larger than allowed");
    if (!late_echo && header.payload_bytes > max_bytes - announced)
      return absl::ResourceExhaustedError("the stream is longer than the session was granted");
    if (!late_echo) announced += header.payload_bytes;
    for (size_t left = header.payload_bytes; left > 0;) {
      size_t dropped = 0;
      status = WhileItMoves(meter, deadline, [&](MonotonicTime until) {
        channel.SetTimeout(until);
        return channel.DropPayload(left, stop, &dropped);
      });
      if (!status.ok()) return status;
      const MonotonicTime now = MonotonicNow();
      if (!late_echo) meter.Add(dropped, now);
      left -= dropped;
      if (auto moves = meter.Look(now); !moves.ok()) return moves;
      if (now >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
    }
  }
}

}  // namespace netsense::tcp
