// Frames over one connected TCP socket: what both ends of a TCP session share. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "netsense/session.pb.h"
#include "transports/frame.h"
#include "transports/tcp/kernel_stamps.h"
#include "transports/tcp/page_sender.h"

namespace netsense::tcp {

inline constexpr uint32_t kMaxPingPayload = 64 * 1024;
inline constexpr uint32_t kChunkBytes = 1 << 20;  // of a stream, unless asked otherwise
inline constexpr uint32_t kMaxMessage = 8 << 20;

class Channel {
 public:
  Channel(UniqueFd fd, uint64_t nonce, v1::WaitMode wait_mode);

  int fd() const { return fd_.get(); }
  uint64_t nonce() const { return nonce_; }

  // Bounds the calls below that take no deadline of their own. No system call when the bound, rounded up to
  // milliseconds, is that of the last time.
  void SetTimeout(MonotonicTime deadline);

  // Blocking is what a ping wants: one receive that sleeps costs one system call, where poll and receive would cost
  // two. What is sent in many pieces is sent without: the kernel's own timeout starts anew with each of them.
  void SetBlocking(bool blocking);

  // All of it, or Unavailable / DeadlineExceeded / Cancelled; then the connection is of no more use.
  absl::Status Send(std::span<const uint8_t> bytes, const std::stop_token& stop, int flags = 0);
  // The same, and the kernel notes when it leaves; TakeDeparture tells once the answer is there (0 = not known).
  absl::Status SendStamped(std::span<const uint8_t> bytes, const std::stop_token& stop);
  int64_t TakeDeparture() { return stamps_.enabled() ? stamps_.TakeDeparture(fd_.get()) : 0; }
  // `bytes` that nobody looks at, in one message or a few.
  absl::Status SendPages(PageSender& pages, size_t bytes, const std::stop_token& stop);

  // Waits for one whole frame with a payload of at most `max_payload`; `expected_bytes` is a guess of its whole size
  // that saves a system call when right. `payload` points into the channel until the next call. DeadlineExceeded leaves
  // what has come in place: the next call goes on from there. Unavailable, too: not a frame of this session, or
  // too large. `received_at` is taken right after the system call that completed the frame.
  struct Frame {
    FrameHeader header;
    std::span<const uint8_t> payload;
    MonotonicTime received_at;
    int64_t arrival = 0;  // as KernelStamps; only without busy polling
  };
  absl::Status ReceiveFrame(uint32_t max_payload, size_t expected_bytes, MonotonicTime deadline,
                            const std::stop_token& stop, Frame* frame);

  // Only the header, for chunks whose payload DropPayload takes next.
  absl::Status ReceiveHeader(MonotonicTime deadline, const std::stop_token& stop, FrameHeader* header);
  // Lets the kernel drop up to `size` payload bytes; waits for the first. The number dropped in `dropped`.
  absl::Status DropPayload(size_t size, const std::stop_token& stop, size_t* dropped);

 private:
  absl::Status FillBuffer(size_t need, size_t ask, MonotonicTime deadline, const std::stop_token& stop,
                          MonotonicTime* received_at, int64_t* arrival);
  absl::Status AwaitWritable(int error, const std::stop_token& stop);
  void Consume(size_t bytes);
  void WakeLate(bool late);

  const UniqueFd fd_;
  const uint64_t nonce_;
  const bool busy_poll_;
  KernelStamps stamps_;
  MonotonicTime received_at_{};  // the last receipt, and the stamp of its arrival
  int64_t arrival_ = 0;
  MonotonicTime deadline_{};
  int64_t timeout_ms_ = -1;
  bool wakes_late_ = false;
  std::vector<uint8_t> buffer_;
  size_t filled_ = 0;
  size_t consumed_ = 0;
};

}  // namespace netsense::tcp
