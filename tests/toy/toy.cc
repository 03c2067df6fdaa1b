#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "tests/toy/factory.h"
#include "transports/frame_session.h"

namespace netsense {
namespace toy {
namespace {

constexpr char kMode[] = "plain";
constexpr uint32_t kMaxPingPayload = 16 * 1024;
constexpr uint32_t kChunkBytes = 64 * 1024;

class ToyCarrier final : public FrameCarrier {
 public:
  explicit ToyCarrier(int fd) : fd_(fd) {}

  absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) override {
    outgoing_.assign(frame.begin(), frame.end());
    deadline_ = deadline;
    stop_ = stop;
    return absl::OkStatus();
  }
  absl::Status Post() override {
    auto status = WriteAll(fd_, outgoing_, deadline_, stop_);
    // Half of a frame may have left, and the session with it.
    return absl::IsDeadlineExceeded(status) ? absl::UnavailableError("the peer does not read") : status;
  }

  absl::StatusOr<Incoming> Receive(MonotonicTime deadline, const std::stop_token& stop) override {
    while (true) {
      Incoming frame;
      ASSIGN_OR_RETURN(auto whole, Take(&frame));
      if (whole) return frame;
      RETURN_IF_ERROR(WaitReady(fd_, POLLIN, deadline, stop));
      const size_t have = incoming_.size();
      incoming_.resize(have + kChunkBytes);
      const ssize_t n = recv(fd_, incoming_.data() + have, kChunkBytes, MSG_DONTWAIT);
      const int error = errno;
      received_at_ = MonotonicNow();
      incoming_.resize(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      if (n == 0) return absl::UnavailableError("the peer closed the connection");
      if (n < 0 && error != EAGAIN && error != EINTR) return SocketError(error, "receive");
    }
  }

  absl::Status SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) override {
    static const std::vector<uint8_t> kZeros(kChunkBytes);
    ComposeFrame(header, std::span(kZeros).first(header.payload_bytes), &outgoing_);
    return WriteAll(fd_, outgoing_, deadline, stop);
  }
  absl::Status Flush(MonotonicTime, const std::stop_token&) override { return absl::OkStatus(); }

  std::optional<uint32_t> retransmits() const override { return Retransmits(fd_); }
  uint32_t max_ping_payload() const override { return kMaxPingPayload; }
  uint32_t usual_chunk() const override { return kChunkBytes; }
  uint32_t max_chunk() const override { return kChunkBytes; }
  SessionDetails details() const override { return {.mode = kMode, .device = ""}; }

 private:
  // One frame from what has come. False: it has not come as a whole.
  absl::StatusOr<bool> Take(Incoming* frame) {
    if (incoming_.size() < kHeaderBytes) return false;
    frame->header = DecodeHeader(incoming_.data());
    if (frame->header.payload_bytes > kChunkBytes) return BrokenProtocol("a frame larger than allowed");
    const size_t bytes = kHeaderBytes + frame->header.payload_bytes;
    if (incoming_.size() < bytes) return false;
    const auto begin = incoming_.begin(), end = begin + static_cast<std::ptrdiff_t>(bytes);
    if (frame->header.kind != FrameKind::kChunk) frame->payload.assign(begin + kHeaderBytes, end);
    incoming_.erase(begin, end);
    frame->received_at = received_at_;
    return true;
  }

  const int fd_;
  std::vector<uint8_t> outgoing_, incoming_;
  MonotonicTime deadline_{}, received_at_{};
  std::stop_token stop_;
};

class ToyTransport final : public Transport {
 public:
  std::string_view name() const override { return "toy"; }
  Capabilities capabilities() const override {
    return {.ping = true,
            .stream_to_peer = true,
            .stream_from_peer = true,
            .responder_hold = true,
            .max_ping_payload_bytes = kMaxPingPayload,
            .max_message_bytes = kChunkBytes,
            .modes = {kMode},
            .options = {TrafficClassOption()}};
  }
  absl::Status availability() const override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime, std::stop_token) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    auto carrier = std::make_unique<ToyCarrier>(connection.fd.get());
    return MakeFrameSession(std::move(connection), std::move(carrier));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    ShutdownOnStop guard(stop, connection.fd.get());
    ToyCarrier carrier(connection.fd.get());
    return ServeFrames(connection, carrier, limits, stop);
  }
};

}  // namespace
}  // namespace toy

std::unique_ptr<Transport> MakeToyTransport() { return std::make_unique<toy::ToyTransport>(); }

}  // namespace netsense
