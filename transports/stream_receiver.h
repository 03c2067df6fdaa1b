// What a stream's receiver judges, over every backend and at either end: which stream a session was granted, which
// frame belongs into it, and whether it moves. How frames travel is the backend's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "netsense/session.pb.h"
#include "transports/frame.h"
#include "transports/stream_meter.h"
#include "transports/transport.h"

namespace netsense {

// PermissionDenied: the session was granted for pings.
absl::Status StreamsAreGranted(const v1::OpenSession& request);
// The stream that a prober orders. PermissionDenied as above; InvalidArgument: it cannot be read, has no bound, or
// wants larger messages than the transport has.
absl::StatusOr<StreamSpec> ReadOrder(const v1::OpenSession& request, std::span<const uint8_t> payload,
                                     uint32_t max_message_bytes);

// Used by one thread.
class StreamReceiver {
 public:
  // `max_bytes`: what the session was granted.
  StreamReceiver(const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline)
      : meter_(spec.window, spec.bytes, spec.moved), max_bytes_(max_bytes), deadline_(deadline) {}

  // What a frame is to the stream.
  enum class Part {
    kChunk,
    kLateEcho,  // of a ping that was given up: to be dropped
    kEnd,
  };
  // Unavailable: it does not belong into a stream; ResourceExhausted: the stream is longer than granted.
  absl::StatusOr<Part> Judge(const FrameHeader& header);
  // ResourceExhausted, before `bytes` come that no frame announces.
  absl::Status Announce(uint64_t bytes);
  // `bytes` of chunks came, 0 of anything else. DeadlineExceeded: the stream stalls, or did not end in time.
  absl::Status Count(uint64_t bytes, MonotonicTime now);

  // Whoever waits for what comes next waits no longer, and asks then whether to go on; codes as Count.
  MonotonicTime until() const { return std::min(deadline_, meter_.look_at()); }
  absl::Status Waited() { return Count(0, MonotonicNow()); }

  StreamSample Finish() const { return meter_.Finish(); }

 private:
  StreamMeter meter_;
  uint64_t max_bytes_;
  uint64_t announced_ = 0;
  MonotonicTime deadline_;
};

}  // namespace netsense
