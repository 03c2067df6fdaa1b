// What the receiver of a stream counts, and how both ends write it down.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "netsense/session.pb.h"
#include "transports/transport.h"

namespace netsense {

// Turns receipts into a sample. The first receipt starts the clock, its bytes came before it.
class StreamMeter {
 public:
  explicit StreamMeter(std::chrono::nanoseconds window);

  void Add(uint64_t bytes, MonotonicTime now);
  uint64_t bytes() const { return sample_.bytes; }
  StreamSample Finish() const;

 private:
  std::chrono::nanoseconds window_;
  StreamSample sample_;
  MonotonicTime first_{}, last_{}, window_start_{};
  uint64_t window_bytes_ = 0;
  uint64_t windows_ = 0;
};

v1::StreamOrder OrderOf(const StreamSpec& spec);
// InvalidArgument for an order without a direction or a bound.
absl::StatusOr<StreamSpec> SpecOf(const v1::StreamOrder& order);

v1::StreamReport ReportOf(const StreamSample& sample);
// InvalidArgument for a report that contradicts itself.
absl::StatusOr<StreamSample> SampleOf(const v1::StreamReport& report);

// What a session refuses before it asks the peer: InvalidArgument for a stream without a bound, with more bytes than
// the session was opened for, or with messages larger than the backend's.
absl::Status CheckStreamSpec(const StreamSpec& spec, uint64_t max_stream_bytes, uint32_t max_message_bytes);

// How much a sender may send, and when it stops: the spec's bounds within the session's.
struct SendBounds {
  uint64_t bytes;
  MonotonicTime end;
};
SendBounds BoundsOf(const StreamSpec& spec, uint64_t max_stream_bytes, MonotonicTime deadline);

// Bytes of one message: what the spec says, else `usual`, but less for a small stream: it still arrives in several
// receipts, for the first of them only starts the clock.
uint32_t MessageBytesOf(const StreamSpec& spec, uint32_t usual);

}  // namespace netsense
