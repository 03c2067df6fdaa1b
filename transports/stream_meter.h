// What the receiver of a stream counts, and how both ends write it down.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "netsense/session.pb.h"
#include "transports/frame.h"
#include "transports/transport.h"

namespace netsense {

// Turns receipts into a sample. The first receipt starts the clock, its bytes came before it.
class StreamMeter {
 public:
  // `payload`: bytes that are to come; 0 = not known. `moved` as in StreamSpec.
  StreamMeter(std::chrono::nanoseconds window, uint64_t payload, std::atomic<uint64_t>* moved = nullptr);

  void Add(uint64_t bytes, MonotonicTime now);
  uint64_t bytes() const { return sample_.bytes; }
  StreamSample Finish() const;

  // A stream that hardly moves must not keep two ports from everybody else: whoever receives waits until `look_at` at
  // most, and then asks. Not OK (DeadlineExceeded): since the last time, deadlines::kStreamStall ago, less came than 1
  // % of the payload, or than 64 KiB where that is less.
  MonotonicTime look_at() const { return look_at_; }
  absl::Status Look(MonotonicTime now);

 private:
  std::chrono::nanoseconds window_;
  std::atomic<uint64_t>* moved_;
  StreamSample sample_;
  MonotonicTime first_{}, last_{}, window_start_{};
  uint64_t window_bytes_ = 0;
  uint64_t windows_ = 0;
  uint64_t least_;  // bytes between two looks
  uint64_t seen_ = 0;
  MonotonicTime look_at_;
};

// What no path holds: the send and receive buffers of both hosts as Linux lets them grow (tcp_wmem, tcp_rmem: 4 and 6
// MB) and what switches have, with room to spare.
inline constexpr uint64_t kMostBuffered = 64 << 20;

// What the sender of a stream hands over.
class SendMeter {
 public:
  // As in StreamSpec.
  explicit SendMeter(std::atomic<uint64_t>* moved = nullptr) : moved_(moved) {}

  // After the call that took them.
  void Add(uint64_t bytes, MonotonicTime now) {
    if (sent_.bytes < kMostBuffered) past_buffers_at_ = now;
    sent_.bytes += bytes;
    sent_.past_buffers = now - past_buffers_at_;
    if (moved_ != nullptr) moved_->fetch_add(bytes, std::memory_order_relaxed);
  }
  const StreamSample::Sent& sent() const { return sent_; }

 private:
  std::atomic<uint64_t>* moved_;
  StreamSample::Sent sent_;
  MonotonicTime past_buffers_at_{};
};

v1::StreamOrder OrderOf(const StreamSpec& spec);
// InvalidArgument for an order without a direction or a bound.
absl::StatusOr<StreamSpec> SpecOf(const v1::StreamOrder& order);

v1::StreamReport ReportOf(const StreamSample& sample);
// DataLoss for a report that contradicts itself. Whether it can be true is judged by checked_session.h.
absl::StatusOr<StreamSample> SampleOf(const v1::StreamReport& report);

// The count of a stream to the peer, from the frame that the peer sent at its end; `sent` is what we know of it.
// Unavailable: it is something else.
absl::StatusOr<StreamSample> ReadReport(const FrameHeader& header, std::span<const uint8_t> payload,
                                        const std::optional<StreamSample::Sent>& sent);

// What a session refuses before it asks the peer: InvalidArgument for a stream without a bound, with more bytes than
// the session was opened for, or with messages larger than the backend's.
absl::Status CheckStreamSpec(const StreamSpec& spec, uint64_t max_stream_bytes, uint32_t max_message_bytes);

// How much a sender may send, and when it stops: the spec's bounds within the session's.
struct SendBounds {
  uint64_t left;
  MonotonicTime end;
  std::stop_token finish;
  uint32_t small_messages;  // that come first

  // Looks at the clock.
  bool GoesOn() const { return left > 0 && !finish.stop_requested() && MonotonicNow() < end; }
  // Bytes of the next message. Of a stream that is bounded by time alone the first ones are small: over a slow link
  // there are still receipts enough to time it.
  uint32_t Next(uint32_t message_bytes) {
    constexpr uint32_t kSmall = 64 << 10;
    if (small_messages > 0) {
      --small_messages;
      message_bytes = std::min(message_bytes, kSmall);
    }
    return static_cast<uint32_t>(std::min<uint64_t>(left, message_bytes));
  }
};
SendBounds SendBoundsOf(const StreamSpec& spec, uint64_t max_stream_bytes, MonotonicTime deadline);

// Bytes of one message: what the spec says, else `usual`, but less for a small stream: it still arrives in several
// receipts, for the first of them only starts the clock.
uint32_t MessageBytesOf(const StreamSpec& spec, uint32_t usual);

}  // namespace netsense
