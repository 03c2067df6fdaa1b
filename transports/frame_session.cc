#include "transports/frame_session.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/door_session.h"
#include "transports/stream_meter.h"
#include "transports/stream_receiver.h"

namespace netsense {
namespace {

absl::Status NotOfThisSession() { return BrokenProtocol("a frame that is not of this session"); }

absl::Status SendBare(FrameCarrier& carrier, FrameKind kind, uint64_t nonce, MonotonicTime deadline,
                      const std::stop_token& stop) {
  std::vector<uint8_t> message;
  ComposeFrame({.kind = kind, .nonce = nonce}, {}, &message);
  RETURN_IF_ERROR(carrier.Prepare(message, deadline, stop));
  return carrier.Post();
}

absl::Status SendMessage(FrameCarrier& carrier, FrameKind kind, uint64_t nonce, uint64_t sequence,
                         const google::protobuf::MessageLite& payload, MonotonicTime deadline,
                         const std::stop_token& stop) {
  std::vector<uint8_t> message;
  ComposeMessage(kind, nonce, sequence, payload, &message);
  RETURN_IF_ERROR(carrier.Prepare(message, deadline, stop));
  return carrier.Post();
}

absl::StatusOr<StreamSample::Sent> SendStream(FrameCarrier& carrier, uint64_t nonce, const StreamSpec& spec,
                                              uint64_t max_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  SendBounds bounds = SendBoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec, carrier.usual_chunk());
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = nonce};
  SendMeter meter(spec.moved);
  for (; bounds.GoesOn(); ++header.sequence) {
    header.payload_bytes = bounds.Next(message_bytes);
    RETURN_IF_ERROR(carrier.SendChunk(header, deadline, stop));
    bounds.left -= header.payload_bytes;
    meter.Add(header.payload_bytes, MonotonicNow());
  }
  RETURN_IF_ERROR(SendBare(carrier, FrameKind::kStreamEnd, nonce, deadline, stop));
  RETURN_IF_ERROR(carrier.Flush(deadline, stop));
  return meter.sent();
}

absl::StatusOr<StreamSample> ReceiveStream(FrameCarrier& carrier, uint64_t nonce, const StreamSpec& spec,
                                           uint64_t max_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  StreamReceiver receiver(spec, max_bytes, deadline);
  while (!spec.finish.stop_requested()) {
    auto frame = carrier.Receive(receiver.until(), stop);
    if (absl::IsDeadlineExceeded(frame.status())) {
      RETURN_IF_ERROR(receiver.Waited());
      continue;
    }
    if (!frame.ok()) return frame.status();
    if (frame->header.nonce != nonce) return NotOfThisSession();
    ASSIGN_OR_RETURN(auto part, receiver.Judge(frame->header));
    if (part == StreamReceiver::Part::kEnd) break;
    const uint64_t bytes = part == StreamReceiver::Part::kChunk ? frame->header.payload_bytes : 0;
    RETURN_IF_ERROR(receiver.Count(bytes, frame->received_at));
  }
  return receiver.Finish();
}

class FrameSession final : public DoorSession {
 public:
  FrameSession(DoorConnection connection, std::unique_ptr<FrameCarrier> carrier)
      : DoorSession(connection, {carrier->max_ping_payload(), carrier->max_chunk()}),
        fd_(std::move(connection.fd)),
        carrier_(std::move(carrier)) {}

  SessionDetails details() const override { return carrier_->details(); }

 private:
  absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline,
                                    const std::stop_token& stop) override {
    if (stop.stop_requested()) return absl::CancelledError("stopped");  // the echo may come before anybody would wait
    EncodePing(nonce(), ++sequence_, spec.payload_bytes, &message_);
    RETURN_IF_ERROR(carrier_->Prepare(message_, deadline, stop));

    MonotonicTime sent_at = MonotonicNow();
    RETURN_IF_ERROR(carrier_->Post());
    absl::StatusOr<FrameCarrier::Incoming> echo;
    auto status = AwaitEcho(message_, deadline, [&]() -> absl::StatusOr<FrameView> {
      echo = carrier_->Receive(deadline, stop);
      if (!echo.ok()) return echo.status();
      return FrameView{echo->header, echo->payload};
    });
    if (!status.ok()) return status;
    RttSample sample;
    sample.rtt = echo->received_at - sent_at;
    const PongValue pong = UnpackPong(echo->header.value);
    sample.responder_hold = pong.hold;
    if (const auto ours = carrier_->retransmits()) sample.retransmits = retransmits_.SinceLast(*ours, pong.retransmits);
    return sample;
  }

  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline,
                                         const std::stop_token& stop) override {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    const bool from_peer = spec.direction == Direction::kFromPeer;
    if (from_peer && carrier_->pulls()) return carrier_->Pull(spec, max_stream_bytes(), deadline, stop);
    auto status = SendMessage(*carrier_, FrameKind::kStreamOrder, nonce(), ++sequence_, OrderOf(spec), deadline, stop);
    if (!status.ok()) return status;
    if (from_peer) return ReceiveStream(*carrier_, nonce(), spec, max_stream_bytes(), deadline, stop);
    std::optional<StreamSample::Sent> ours;
    if (!carrier_->pulls()) {
      ASSIGN_OR_RETURN(auto sent, SendStream(*carrier_, nonce(), spec, max_stream_bytes(), deadline, stop));
      ours = sent;
    } else if (spec.moved != nullptr) {
      spec.moved->store(kMovedNotKnown);
    }
    absl::StatusOr<FrameCarrier::Incoming> frame;
    do {
      frame = carrier_->Receive(deadline, stop);
      if (!frame.ok()) return frame.status();
    } while (frame->header.kind == FrameKind::kPong);
    return ReadReport(frame->header, frame->payload, ours);
  }

  const UniqueFd fd_;
  const std::unique_ptr<FrameCarrier> carrier_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  RetransmitCount retransmits_;
};

class FrameResponder {
 public:
  FrameResponder(const DoorConnection& connection, FrameCarrier& carrier, const ServeLimits& limits,
                 const std::stop_token& stop)
      : connection_(connection),
        carrier_(carrier),
        limits_(limits),
        end_(MonotonicNow() + limits.total),
        stop_(stop),
        nonce_(connection.grant.session_nonce()) {}

  absl::Status Run() {
    while (true) {
      auto frame = carrier_.Receive(Deadline(), stop_);
      if (PeerLeft(frame.status())) return absl::OkStatus();
      if (!frame.ok()) return frame.status();
      RETURN_IF_ERROR(Answer(*frame));
    }
  }

 private:
  MonotonicTime Deadline() const { return std::min(end_, MonotonicNow() + limits_.idle); }

  absl::Status Answer(FrameCarrier::Incoming& frame) {
    if (frame.header.nonce != nonce_) return NotOfThisSession();
    switch (frame.header.kind) {
      case FrameKind::kPing:
        return Echo(frame);
      case FrameKind::kStreamOrder:
        return RunStream(frame);
      default:
        return absl::InvalidArgumentError("a frame that a prober does not send");
    }
  }

  absl::Status Echo(const FrameCarrier::Incoming& ping) {
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    FrameHeader header = ping.header;
    header.kind = FrameKind::kPong;
    header.value = PackPong((MonotonicNow() - ping.received_at).count(), false, retransmits_);
    ComposeFrame(header, ping.payload, &message_);
    RETURN_IF_ERROR(carrier_.Prepare(message_, Deadline(), stop_));
    auto status = carrier_.Post();
    retransmits_ = carrier_.retransmits().value_or(0);
    return status;
  }

  absl::Status RunStream(const FrameCarrier::Incoming& frame) {
    ASSIGN_OR_RETURN(auto spec, ReadOrder(connection_.request, frame.payload, carrier_.max_chunk()));
    const uint64_t max_bytes = connection_.request.max_stream_bytes();
    if (spec.direction == Direction::kFromPeer)
      return SendStream(carrier_, nonce_, spec, max_bytes, end_, stop_).status();
    ASSIGN_OR_RETURN(auto sample, carrier_.pulls() ? carrier_.Pull(spec, max_bytes, end_, stop_)
                                                   : ReceiveStream(carrier_, nonce_, spec, max_bytes, end_, stop_));
    auto status =
        SendMessage(carrier_, FrameKind::kStreamReport, nonce_, frame.header.sequence, ReportOf(sample), end_, stop_);
    return status.ok() ? carrier_.Flush(end_, stop_) : status;
  }

  const DoorConnection& connection_;
  FrameCarrier& carrier_;
  const ServeLimits limits_;
  const MonotonicTime end_;
  const std::stop_token& stop_;
  const uint64_t nonce_;
  uint32_t retransmits_ = 0;  // after the last echo: not while a ping is timed
  std::vector<uint8_t> message_;
};

}  // namespace

absl::StatusOr<StreamSample> FrameCarrier::Pull(const StreamSpec&, uint64_t, MonotonicTime, const std::stop_token&) {
  return absl::UnimplementedError("this fabric does not fetch");
}

std::unique_ptr<Session> MakeFrameSession(DoorConnection connection, std::unique_ptr<FrameCarrier> carrier) {
  return std::make_unique<FrameSession>(std::move(connection), std::move(carrier));
}

absl::Status ServeFrames(const DoorConnection& connection, FrameCarrier& carrier, const ServeLimits& limits,
                         const std::stop_token& stop) {
  auto status = FrameResponder(connection, carrier, limits, stop).Run();
  if (!status.ok()) ResetOnClose(connection.fd.get());
  return status;
}

absl::Status ExchangeReady(FrameCarrier& carrier, uint64_t nonce, MonotonicTime deadline, const std::stop_token& stop) {
  RETURN_IF_ERROR(SendBare(carrier, FrameKind::kReady, nonce, deadline, stop));
  ASSIGN_OR_RETURN(auto frame, carrier.Receive(deadline, stop));
  if (frame.header.kind != FrameKind::kReady || frame.header.nonce != nonce) return NotOfThisSession();
  return carrier.Flush(deadline, stop);
}

}  // namespace netsense
