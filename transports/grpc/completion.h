// What prober and responder share: waiting on a completion queue, raw frames in byte buffers, channel settings.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "netsense/session.pb.h"
#include "transports/frame.h"

namespace netsense::grpc_backend {

inline constexpr char kUnary[] = "unary";
inline constexpr char kStream[] = "stream";
inline constexpr uint32_t kMaxPingPayload = 64 * 1024;
inline constexpr uint32_t kChunkBytes = 1 << 20;  // of a stream, unless asked otherwise
inline constexpr uint32_t kMaxChunkBytes = 8 << 20;
inline constexpr int kMaxMessageBytes = 9 << 20;
inline constexpr char kStreamMethod[] = "/netsense.v1.NetworkProbe/NetStream";

// One event of a completion queue. Tags are small numbers that the owner of the queue gives out.
struct Completion {
  intptr_t tag = 0;
  bool ok = false;
};
inline void* Tag(intptr_t tag) { return reinterpret_cast<void*>(tag); }

// Waits for the next event, spinning (for as long as something comes now and then) or asleep. Nothing at `deadline`, or
// when `stop` is requested while it spins: whoever wants to wake a sleeper makes one of its calls end.
std::optional<Completion> NextCompletion(grpc::CompletionQueue& queue, bool busy_poll, MonotonicTime deadline,
                                         const std::stop_token& stop);

// Shuts the queue down and takes every event that is left.
void Drain(grpc::CompletionQueue& queue);

// Arguments of mode "stream": the receive window, the frame and the read size let 1 MiB messages flow.
template <typename SetInt>
void ForEachStreamArgument(SetInt set) {
  set("grpc.http2.bdp_probe", 0);
  set("grpc.http2.lookahead_bytes", 8 << 20);
  set("grpc.http2.max_frame_size", 1 << 20);
  set("grpc.experimental.tcp_read_chunk_size", 1 << 20);
  set("grpc.experimental.tcp_max_read_chunk_size", 4 << 20);
}

// A raw frame. The payload of a received one stays in gRPC's own slices.
struct RawFrame {
  FrameHeader header;
  std::vector<grpc::Slice> payload;

  // False when the message is no frame of `nonce`, or says another size than it has.
  static bool Parse(const grpc::ByteBuffer& message, uint64_t nonce, RawFrame* frame);
  grpc::ByteBuffer ToMessage() const;
};
std::vector<uint8_t> Join(const std::vector<grpc::Slice>& slices);
// A chunk of at most kMaxChunkBytes, whose zeros are one static buffer.
grpc::ByteBuffer ChunkMessage(const FrameHeader& header);

}  // namespace netsense::grpc_backend
