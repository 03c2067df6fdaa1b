#include "transports/grpc/completion.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "transports/busy_poll.h"

namespace netsense::grpc_backend {
namespace {

gpr_timespec ToGpr(MonotonicTime deadline) {
  if (deadline == MonotonicTime::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  auto left = deadline - MonotonicNow();
  // Upwards: gRPC rounds down to milliseconds, and an early return would only come back here.
  int64_t ns = std::max<int64_t>(left.count(), 0) + 1'000'000;
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(ns, GPR_TIMESPAN));
}

}  // namespace

std::optional<Completion> NextCompletion(grpc::CompletionQueue& queue, bool busy_poll, MonotonicTime deadline,
                                         const std::stop_token& stop) {
  void* tag = nullptr;
  bool ok = false;
  if (busy_poll) {
    const gpr_timespec past = gpr_time_0(GPR_CLOCK_MONOTONIC);
    const MonotonicTime spin_until = MonotonicNow() + kSpinLimit;
    for (MonotonicTime now{}; now < spin_until; now = MonotonicNow()) {
      if (queue.AsyncNext(&tag, &ok, past) == grpc::CompletionQueue::GOT_EVENT)
        return Completion{reinterpret_cast<intptr_t>(tag), ok};
      if (now >= deadline || stop.stop_requested()) return std::nullopt;
    }
  }
  if (queue.AsyncNext(&tag, &ok, ToGpr(deadline)) != grpc::CompletionQueue::GOT_EVENT) return std::nullopt;
  return Completion{reinterpret_cast<intptr_t>(tag), ok};
}

void Drain(grpc::CompletionQueue& queue) {
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

bool RawFrame::Parse(const grpc::ByteBuffer& message, uint64_t nonce, RawFrame* frame) {
  frame->payload.clear();
  std::vector<grpc::Slice> slices;
  if (!message.Valid() || !message.Dump(&slices).ok()) return false;
  std::array<uint8_t, kHeaderBytes> header;
  size_t have = 0;
  for (const grpc::Slice& slice : slices) {
    size_t take = std::min(kHeaderBytes - have, slice.size());
    std::memcpy(header.data() + have, slice.begin(), take);
    have += take;
    if (take == slice.size()) continue;
    frame->payload.push_back(take == 0 ? slice : slice.sub(take, slice.size()));
  }
  if (have < kHeaderBytes) return false;
  frame->header = DecodeHeader(header.data());
  return frame->header.nonce == nonce && frame->header.payload_bytes == message.Length() - kHeaderBytes;
}

grpc::ByteBuffer RawFrame::ToMessage() const {
  std::array<uint8_t, kHeaderBytes> bytes;
  EncodeHeader(header, bytes.data());
  std::vector<grpc::Slice> slices;
  slices.emplace_back(bytes.data(), bytes.size());
  slices.insert(slices.end(), payload.begin(), payload.end());
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::vector<uint8_t> Join(const std::vector<grpc::Slice>& slices) {
  std::vector<uint8_t> bytes;
  for (const grpc::Slice& slice : slices) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

grpc::ByteBuffer ChunkMessage(const FrameHeader& header) {
  static const std::vector<uint8_t> kZeros(kMaxChunkBytes);
  RawFrame frame{header, {}};
  frame.payload.emplace_back(kZeros.data(), header.payload_bytes, grpc::Slice::STATIC_SLICE);
  return frame.ToMessage();
}

}  // namespace netsense::grpc_backend
