#include <cstring>

#include "base/handshake/broken_protocol.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/door_session.h"
#include "transports/stream_meter.h"
#include "transports/stream_receiver.h"
#include "transports/tcp/channel.h"
#include "transports/tcp/factory.h"
#include "transports/tcp/stream.h"

namespace netsense {
namespace tcp {
namespace {

constexpr char kMode[] = "stream";
constexpr int64_t kLongestWakeUp = 10'000'000'000;

class TcpSession final : public DoorSession {
 public:
  explicit TcpSession(DoorConnection connection)
      : DoorSession(connection, {kMaxPingPayload, kMaxMessage}),
        channel_(std::move(connection.fd), nonce(), connection.request.wait_mode()) {}

  SessionDetails details() const override { return {.mode = kMode, .device = ""}; }

 private:
  absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline,
                                    const std::stop_token& stop) override {
    EncodePing(nonce(), ++sequence_, spec.payload_bytes, &message_);
    channel_.SetTimeout(deadline);

    MonotonicTime sent_at = MonotonicNow();
    if (auto status = channel_.SendStamped(message_, stop); !status.ok()) {
      Break();  // at the deadline, too: half of a frame may have left
      return status;
    }
    Channel::Frame frame;
    auto status = AwaitEcho(message_, deadline, [&]() -> absl::StatusOr<FrameView> {
      RETURN_IF_ERROR(channel_.ReceiveFrame(kMaxPingPayload, message_.size(), deadline, stop, &frame));
      return FrameView{frame.header, frame.payload};
    });
    if (!status.ok()) return status;
    return SampleOf(frame, sent_at);
  }

  RttSample SampleOf(const Channel::Frame& frame, MonotonicTime sent_at) {
    using std::chrono::nanoseconds;
    RttSample sample;
    sample.rtt = frame.received_at - sent_at;
    const auto [hold, from_arrival, retransmits] = UnpackPong(frame.header.value);
    sample.responder_hold = hold;
    sample.retransmits = retransmits_.SinceLast(Retransmits(channel_.fd()), retransmits);
    const int64_t departure = channel_.TakeDeparture();
    if (!from_arrival || departure == 0 || frame.arrival == 0) return sample;
    const nanoseconds stamped(frame.arrival - departure);
    // Else the clock was set meanwhile.
    if (stamped >= *sample.responder_hold && stamped <= sample.rtt) {
      sample.stamped_rtt = stamped;
      sample.source = v1::TIMESTAMP_SOURCE_KERNEL;
    }
    return sample;
  }

  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline,
                                         const std::stop_token& stop) override {
    ComposeMessage(FrameKind::kStreamOrder, nonce(), ++sequence_, OrderOf(spec), &message_);
    channel_.SetTimeout(deadline);
    RETURN_IF_ERROR(channel_.Send(message_, stop));
    if (spec.direction == Direction::kFromPeer)
      return ReceiveStream(channel_, spec, max_stream_bytes(), deadline, stop);

    ASSIGN_OR_RETURN(auto sent, SendStream(channel_, spec, max_stream_bytes(), deadline, stop));
    Channel::Frame frame;
    channel_.SetTimeout(deadline);
    do {  // the late echo of a ping that was given up is dropped
      RETURN_IF_ERROR(channel_.ReceiveFrame(kMaxPingPayload, kHeaderBytes, deadline, stop, &frame));
    } while (frame.header.kind == FrameKind::kPong);
    return ReadReport(frame.header, frame.payload, sent);
  }

  Channel channel_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  RetransmitCount retransmits_;
};

class TcpResponder {
 public:
  TcpResponder(DoorConnection connection, const ServeLimits& limits, std::stop_token stop)
      : limits_(limits),
        end_(MonotonicNow() + limits.total),
        request_(std::move(connection.request)),
        stop_(std::move(stop)),
        channel_(std::move(connection.fd), connection.grant.session_nonce(), connection.grant.wait_mode()) {}

  absl::Status Run() {
    ShutdownOnStop guard(stop_, channel_.fd());
    while (true) {
      Channel::Frame frame;
      MonotonicTime deadline = std::min(end_, MonotonicNow() + limits_.idle);
      channel_.SetTimeout(deadline);
      auto status = channel_.ReceiveFrame(kMaxPingPayload, last_frame_bytes_, deadline, stop_, &frame);
      if (PeerLeft(status)) return absl::OkStatus();
      if (status.ok()) status = Answer(frame);
      if (!status.ok()) {
        ResetOnClose(channel_.fd());
        return status;
      }
    }
  }

 private:
  absl::Status Answer(const Channel::Frame& frame) {
    switch (frame.header.kind) {
      case FrameKind::kPing:
        return Echo(frame);
      case FrameKind::kStreamOrder:
        return RunStream(frame);
      default:
        return absl::InvalidArgumentError("a frame that a prober does not send");
    }
  }

  absl::Status Echo(const Channel::Frame& frame) {
    reply_.resize(kHeaderBytes + frame.payload.size());
    std::copy(frame.payload.begin(), frame.payload.end(), reply_.begin() + kHeaderBytes);
    last_frame_bytes_ = reply_.size();
    FrameHeader header = frame.header;
    header.kind = FrameKind::kPong;
    if (limits_.hold_pings.count() > 0) SleepUnlessStopped(stop_, limits_.hold_pings);
    header.value = ValueOf(frame);
    EncodeHeader(header, reply_.data());
    auto status = channel_.Send(reply_, stop_);
    retransmits_ = Retransmits(channel_.fd());
    return status;
  }

  uint64_t ValueOf(const Channel::Frame& frame) const {
    const int64_t hold = (MonotonicNow() - frame.received_at).count();
    if (frame.arrival == 0) return PackPong(hold, false, retransmits_);  // no stamp
    const int64_t since_arrival = RealtimeNow() - frame.arrival;
    // It came before we saw it, and not long before: else the clock was set meanwhile.
    if (since_arrival < hold || since_arrival > hold + kLongestWakeUp) return PackPong(hold, false, retransmits_);
    return PackPong(since_arrival, true, retransmits_);
  }

  absl::Status RunStream(const Channel::Frame& frame) {
    ASSIGN_OR_RETURN(auto spec, ReadOrder(request_, frame.payload, kMaxMessage));
    const uint64_t sequence = frame.header.sequence;
    last_frame_bytes_ = kHeaderBytes;
    if (spec.direction == Direction::kFromPeer)
      return SendStream(channel_, spec, request_.max_stream_bytes(), end_, stop_).status();
    ASSIGN_OR_RETURN(auto sample, ReceiveStream(channel_, spec, request_.max_stream_bytes(), end_, stop_));
    ComposeMessage(FrameKind::kStreamReport, channel_.nonce(), sequence, ReportOf(sample), &reply_);
    return channel_.Send(reply_, stop_);
  }

  const ServeLimits limits_;
  const MonotonicTime end_;
  const v1::OpenSession request_;
  const std::stop_token stop_;
  Channel channel_;
  std::vector<uint8_t> reply_;
  size_t last_frame_bytes_ = kHeaderBytes;
  uint32_t retransmits_ = 0;  // after the last echo: not while a ping is timed
};

class TcpTransport final : public Transport {
 public:
  std::string_view name() const override { return "tcp"; }
  Capabilities capabilities() const override {
    return {.ping = true,
            .stream_to_peer = true,
            .stream_from_peer = true,
            .busy_poll = true,
            .responder_hold = true,
            .max_ping_payload_bytes = kMaxPingPayload,
            .max_message_bytes = kMaxMessage,
            .modes = {kMode},
            .options = {TrafficClassOption()}};
  }
  absl::Status availability() const override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime, std::stop_token) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    return std::make_unique<TcpSession>(std::move(connection));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    RETURN_IF_ERROR(MarkPackets(connection));
    return TcpResponder(std::move(connection), limits, std::move(stop)).Run();
  }
};

}  // namespace
}  // namespace tcp

std::unique_ptr<Transport> MakeTcpTransport() { return std::make_unique<tcp::TcpTransport>(); }

}  // namespace netsense
