// Frames over a socket, with a buffer: what both ends of the scripted transport share.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/socket.h"
#include "transports/frame.h"
#include "transports/stream_meter.h"

namespace netsense::conformance {

struct WireFrame {
  FrameHeader header;
  std::vector<uint8_t> payload;
  MonotonicTime received_at;
};

class ScriptedWire {
 public:
  ScriptedWire(UniqueFd socket, uint64_t session_nonce) : fd(std::move(socket)), nonce(session_nonce) {}

  absl::Status Send(const std::vector<uint8_t>& bytes, MonotonicTime deadline, const std::stop_token& stop) const {
    return WriteAll(fd.get(), bytes, deadline, stop);
  }

  // What has come of a frame when the deadline passes is kept for the next call.
  absl::Status Receive(WireFrame* frame, MonotonicTime deadline, const std::stop_token& stop) {
    if (auto status = Fill(kHeaderBytes, deadline, stop); !status.ok()) return status;
    frame->header = DecodeHeader(buffer_.data());
    const size_t size = kHeaderBytes + frame->header.payload_bytes;
    if (frame->header.nonce != nonce || size > kMostBytes) return absl::DataLossError("not a frame of this session");
    if (auto status = Fill(size, deadline, stop); !status.ok()) return status;
    frame->received_at = MonotonicNow();
    frame->payload.assign(buffer_.begin() + kHeaderBytes, buffer_.begin() + static_cast<ptrdiff_t>(size));
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(size));
    return absl::OkStatus();
  }

  absl::StatusOr<StreamSample::Sent> SendStream(const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                                                const std::stop_token& stop) const {
    SendMeter meter(spec.moved);
    const std::vector<uint8_t> data(kChunkBytes);
    SendBounds bounds = SendBoundsOf(spec, max_bytes, deadline);
    std::vector<uint8_t> message;
    while (bounds.GoesOn()) {
      const size_t size = bounds.Next(kChunkBytes);
      ComposeFrame({.kind = FrameKind::kChunk, .nonce = nonce}, std::span(data).first(size), &message);
      if (auto status = Send(message, deadline, stop); !status.ok()) return status;
      bounds.left -= size;
      meter.Add(size, MonotonicNow());
    }
    ComposeFrame({.kind = FrameKind::kStreamEnd, .nonce = nonce}, {}, &message);
    if (auto status = Send(message, deadline, stop); !status.ok()) return status;
    return meter.sent();
  }

  absl::StatusOr<StreamSample> ReceiveStream(const StreamSpec& spec, MonotonicTime deadline,
                                             const std::stop_token& stop) {
    StreamMeter meter(spec.window, 0, spec.moved);
    WireFrame frame;
    while (!spec.finish.stop_requested()) {
      if (auto status = Receive(&frame, deadline, stop); !status.ok()) return status;
      if (MonotonicNow() >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
      if (frame.header.kind == FrameKind::kStreamEnd) break;
      if (frame.header.kind == FrameKind::kChunk) meter.Add(frame.payload.size(), frame.received_at);
    }
    return meter.Finish();
  }

  const UniqueFd fd;
  const uint64_t nonce;

 private:
  static constexpr size_t kChunkBytes = 64 * 1024;
  static constexpr size_t kMostBytes = kHeaderBytes + kChunkBytes;

  absl::Status Fill(size_t need, MonotonicTime deadline, const std::stop_token& stop) {
    ShutdownOnStop guard(stop, fd.get());
    std::array<uint8_t, kMostBytes> piece;
    while (buffer_.size() < need) {
      const ssize_t n = recv(fd.get(), piece.data(), need - buffer_.size(), MSG_DONTWAIT);
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      if (n == 0) return absl::UnavailableError("the peer left");
      if (n > 0) {
        buffer_.insert(buffer_.end(), piece.begin(), piece.begin() + n);
      } else if (errno != EAGAIN) {
        return SocketError(errno, "receive");
      } else if (auto status = WaitReady(fd.get(), POLLIN, deadline, stop); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  std::vector<uint8_t> buffer_;
};

}  // namespace netsense::conformance
