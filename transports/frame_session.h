// Sessions over anything that carries frames: what UCX, verbs and gRPC (mode "stream") share. The backend brings a
// FrameCarrier, this file the measuring.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/frame.h"
#include "transports/transport.h"

namespace netsense {

// One connection that carries frames in order. Used by one thread at a time. Codes as in transport.h; after any error
// but DeadlineExceeded it is of no more use. Every wait also ends, with Unavailable, when the door's connection does.
class FrameCarrier {
 public:
  struct Incoming {
    FrameHeader header;
    std::vector<uint8_t> payload;  // empty for chunks: only their size is kept, in the header
    MonotonicTime received_at;     // right after the call that found it
  };

  virtual ~FrameCarrier() = default;
  // Puts a whole frame (header and payload) in place, so that Post has nothing left to do but to send it. May wait for
  // room.
  virtual absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) = 0;
  virtual absl::Status Post() = 0;
  virtual absl::StatusOr<Incoming> Receive(MonotonicTime deadline, const std::stop_token& stop) = 0;
  // Sends a chunk of `bytes` that nobody looks at, keeping a bounded number under way.
  virtual absl::Status SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) = 0;
  // Until everything that was posted has left.
  virtual absl::Status Flush(MonotonicTime deadline, const std::stop_token& stop) = 0;

  // Where the receiver of a stream fetches (RDMA READ) instead of the sender sending: fetches chunks within the bounds
  // and counts them.
  virtual bool pulls() const { return false; }
  virtual absl::StatusOr<StreamSample> Pull(const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                                            const std::stop_token& stop);

  // Segments that this end's TCP has sent again so far, where frames travel by TCP and the kernel tells.
  virtual std::optional<uint32_t> retransmits() const { return {}; }

  virtual uint32_t max_ping_payload() const = 0;
  virtual uint32_t usual_chunk() const = 0;  // bytes of a stream's message, unless the spec says otherwise
  virtual uint32_t max_chunk() const = 0;
  virtual SessionDetails details() const = 0;
};

// `connection` as the door gave it; its descriptor outlives the carrier, which was made on it. A session that fails
// resets it. Where a fabric connects with the first message, the two sides have said kReady to each other before.
std::unique_ptr<Session> MakeFrameSession(DoorConnection connection, std::unique_ptr<FrameCarrier> carrier);

// Serves until the prober leaves.
absl::Status ServeFrames(const DoorConnection& connection, FrameCarrier& carrier, const ServeLimits& limits,
                         const std::stop_token& stop);

// For fabrics that connect with the first message: that one is not for measuring. Both sides call it first.
absl::Status ExchangeReady(FrameCarrier& carrier, uint64_t nonce, MonotonicTime deadline, const std::stop_token& stop);

}  // namespace netsense
