#include "transports/tcp/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/busy_poll.h"

namespace netsense::tcp {
namespace {

// Fewer wake-ups of a receiver that is faster than the network; 5 ms at 100 Mb/s.
constexpr size_t kReceiptBytes = 64 * 1024;

absl::Status ReceiveFailure(ssize_t n, int error, const std::stop_token& stop) {
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  if (n == 0) return absl::UnavailableError("the peer closed the connection");
  return SocketError(error, "receive");
}

}  // namespace

Channel::Channel(UniqueFd fd, uint64_t nonce, v1::WaitMode wait_mode)
    : fd_(std::move(fd)),
      nonce_(nonce),
      busy_poll_(wait_mode == v1::WAIT_MODE_BUSY_POLL),
      buffer_(kHeaderBytes + 1024) {
  SetBlocking(true);
  // Who spins is awake when the message comes: a stamp would say the same and cost more.
  if (!busy_poll_) stamps_.Enable(fd_.get());
}

void Channel::SetBlocking(bool blocking) {
  const int flags = fcntl(fd_.get(), F_GETFL);
  fcntl(fd_.get(), F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

void Channel::SetTimeout(MonotonicTime deadline) {
  deadline_ = deadline;
  auto ms = std::max<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicNow()).count(), 1);
  if (ms == timeout_ms_) return;
  timeout_ms_ = ms;
  timeval value{ms / 1000, (ms % 1000) * 1000};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
}

// After a send that failed with `error`: OK when it is to be tried again.
absl::Status Channel::AwaitWritable(int error, const std::stop_token& stop) {
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  if (error == EINTR) return absl::OkStatus();
  if (error != EAGAIN) return SocketError(error, "send");
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - MonotonicNow()).count();
  if (left <= 0) return absl::DeadlineExceededError("the peer does not read");
  pollfd writable{fd_.get(), POLLOUT, 0};
  poll(&writable, 1, static_cast<int>(std::min<int64_t>(left, std::numeric_limits<int>::max())));
  // The stamp of a ping that was given up: until it is taken, poll does not wait.
  if ((writable.revents & POLLERR) != 0) TakeDeparture();
  return absl::OkStatus();
}

absl::Status Channel::Send(std::span<const uint8_t> bytes, const std::stop_token& stop, int flags) {
  while (!bytes.empty()) {
    ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
    } else if (auto status = AwaitWritable(errno, stop); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Channel::SendStamped(std::span<const uint8_t> bytes, const std::stop_token& stop) {
  if (!stamps_.enabled()) return Send(bytes, stop);
  ssize_t n = KernelStamps::SendStamped(fd_.get(), bytes);
  if (n < 0) RETURN_IF_ERROR(AwaitWritable(errno, stop));
  return Send(bytes.subspan(static_cast<size_t>(std::max<ssize_t>(n, 0))), stop);
}

absl::Status Channel::SendPages(PageSender& pages, size_t bytes, const std::stop_token& stop) {
  while (bytes > 0) {
    ssize_t n = pages.Send(fd_.get(), bytes, false);
    if (n >= 0) {
      bytes -= static_cast<size_t>(n);
    } else if (auto status = AwaitWritable(errno, stop); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// Receives until at least `need` bytes are there past what is consumed; asks the kernel for up to `ask` of them at
// once.
absl::Status Channel::FillBuffer(size_t need, size_t ask, MonotonicTime deadline, const std::stop_token& stop,
                                 MonotonicTime* received_at, int64_t* arrival) {
  if (filled_ - consumed_ >= need) {  // it came along with what was received before
    *received_at = received_at_;
    *arrival = arrival_;
    return absl::OkStatus();
  }
  ask = std::max(need, ask);
  WakeLate(false);
  if (consumed_ + ask > buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + consumed_, filled_ - consumed_);
    filled_ -= consumed_;
    consumed_ = 0;
    if (ask > buffer_.size()) buffer_.resize(ask);
  }
  MonotonicTime spin_until = busy_poll_ ? MonotonicNow() + kSpinLimit : MonotonicTime{};
  bool spin = busy_poll_;
  int spins = 0;
  while (filled_ - consumed_ < need) {
    const std::span<uint8_t> into(buffer_.data() + filled_, ask - (filled_ - consumed_));
    ssize_t n = stamps_.enabled() ? KernelStamps::Receive(fd_.get(), into, 0, arrival)
                                  : recv(fd_.get(), into.data(), into.size(), spin ? MSG_DONTWAIT : 0);
    if (n > 0) {
      *received_at = received_at_ = MonotonicNow();
      arrival_ = *arrival;
      filled_ += static_cast<size_t>(n);
      // The kernel's timeout starts anew with each receipt: what comes in drips has no more time than what comes at
      // once.
      if (filled_ - consumed_ < need) {
        if (received_at_ >= deadline) return absl::DeadlineExceededError("the frame did not come whole in time");
        SetTimeout(deadline);
      }
      continue;
    }
    if (n < 0 && errno == EAGAIN && spin && ++spins % kSpinsPerClockRead != 0) continue;
    const int error = errno;
    if (n < 0 && error == EINTR) continue;
    const MonotonicTime now = MonotonicNow();
    if (n < 0 && error == EAGAIN && now < deadline && !stop.stop_requested()) {
      if (spin) spin = now < spin_until;
      if (!spin) SetTimeout(deadline);
      continue;
    }
    return ReceiveFailure(n, error, stop);
  }
  return absl::OkStatus();
}

void Channel::Consume(size_t bytes) {
  consumed_ += bytes;
  if (consumed_ == filled_) consumed_ = filled_ = 0;
}

absl::Status Channel::ReceiveFrame(uint32_t max_payload, size_t expected_bytes, MonotonicTime deadline,
                                   const std::stop_token& stop, Frame* frame) {
  if (auto status = FillBuffer(kHeaderBytes, expected_bytes, deadline, stop, &frame->received_at, &frame->arrival);
      !status.ok())
    return status;
  frame->header = DecodeHeader(buffer_.data() + consumed_);
  if (frame->header.nonce != nonce_) return BrokenProtocol("a frame that is not of this session");
  if (frame->header.payload_bytes > max_payload) return BrokenProtocol("a frame larger than allowed");
  size_t total = kHeaderBytes + frame->header.payload_bytes;
  if (auto status = FillBuffer(total, total, deadline, stop, &frame->received_at, &frame->arrival); !status.ok())
    return status;
  frame->payload = {buffer_.data() + consumed_ + kHeaderBytes, frame->header.payload_bytes};
  Consume(total);
  return absl::OkStatus();
}

absl::Status Channel::ReceiveHeader(MonotonicTime deadline, const std::stop_token& stop, FrameHeader* header) {
  MonotonicTime ignored;
  int64_t not_needed = 0;
  if (auto status = FillBuffer(kHeaderBytes, kHeaderBytes, deadline, stop, &ignored, &not_needed); !status.ok())
    return status;
  *header = DecodeHeader(buffer_.data() + consumed_);
  if (header->nonce != nonce_) return BrokenProtocol("a frame that is not of this session");
  Consume(kHeaderBytes);
  return absl::OkStatus();
}

// The kernel wakes a receiver when so much is there that it has not taken yet, whatever it still wants: so only while
// enough is sure to come.
void Channel::WakeLate(bool late) {
  if (late == wakes_late_) return;
  wakes_late_ = late;
  const int bytes = late ? static_cast<int>(kReceiptBytes) : 1;
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

absl::Status Channel::DropPayload(size_t size, const std::stop_token& stop, size_t* dropped) {
  if (filled_ > consumed_) {  // the beginning came along with the request
    *dropped = std::min(size, filled_ - consumed_);
    Consume(*dropped);
    return absl::OkStatus();
  }
  WakeLate(size >= 4 * kReceiptBytes);
  while (true) {
    ssize_t n = recv(fd_.get(), nullptr, size, MSG_TRUNC);
    if (n > 0) {
      *dropped = static_cast<size_t>(n);
      return absl::OkStatus();
    }
    if (n < 0 && errno == EINTR) continue;
    return ReceiveFailure(n, errno, stop);
  }
}

}  // namespace netsense::tcp
