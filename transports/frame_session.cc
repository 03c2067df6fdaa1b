#include "transports/frame_session.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "transports/stream_meter.h"

namespace netsense {
namespace {

absl::Status NotOfThisSession() { return BrokenProtocol("a frame that is not of this session"); }

absl::Status SendBare(FrameCarrier& carrier, FrameKind kind, uint64_t nonce, MonotonicTime deadline,
                      const std::stop_token& stop) {
  std::vector<uint8_t> message;
  ComposeFrame({.kind = kind, .nonce = nonce}, {}, &message);
  if (auto status = carrier.Prepare(message, deadline, stop); !status.ok()) return status;
  return carrier.Post();
}

absl::Status SendMessage(FrameCarrier& carrier, FrameKind kind, uint64_t nonce, uint64_t sequence,
                         const google::protobuf::MessageLite& payload, MonotonicTime deadline,
                         const std::stop_token& stop) {
  std::vector<uint8_t> message;
  ComposeMessage(kind, nonce, sequence, payload, &message);
  if (auto status = carrier.Prepare(message, deadline, stop); !status.ok()) return status;
  return carrier.Post();
}

absl::StatusOr<StreamSample::Sent> SendStream(FrameCarrier& carrier, uint64_t nonce, const StreamSpec& spec,
                                              uint64_t max_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  SendBounds bounds = BoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec, carrier.usual_chunk());
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = nonce};
  SendMeter meter(spec.moved);
  for (; bounds.GoesOn(); ++header.sequence) {
    header.payload_bytes = bounds.Next(message_bytes);
    if (auto status = carrier.SendChunk(header, deadline, stop); !status.ok()) return status;
    bounds.left -= header.payload_bytes;
    meter.Add(header.payload_bytes, MonotonicNow());
  }
  if (auto status = SendBare(carrier, FrameKind::kStreamEnd, nonce, deadline, stop); !status.ok()) return status;
  if (auto status = carrier.Flush(deadline, stop); !status.ok()) return status;
  return meter.sent();
}

absl::StatusOr<StreamSample> ReceiveStream(FrameCarrier& carrier, uint64_t nonce, const StreamSpec& spec,
                                           uint64_t max_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  StreamMeter meter(spec.window, spec.bytes, spec.moved);
  while (!spec.finish.stop_requested()) {
    const MonotonicTime until = std::min(deadline, meter.look_at());
    auto frame = carrier.Receive(until, stop);
    if (absl::IsDeadlineExceeded(frame.status()) && until < deadline) {
      if (auto moves = meter.Look(MonotonicNow()); !moves.ok()) return moves;
      continue;
    }
    if (!frame.ok()) return frame.status();
    if (frame->header.nonce != nonce) return NotOfThisSession();
    if (frame->header.kind == FrameKind::kStreamEnd) break;
    if (frame->header.kind != FrameKind::kPong) {  // the late echo of a ping that was given up
      if (frame->header.kind != FrameKind::kChunk) return BrokenProtocol("a frame that does not belong into a stream");
      if (frame->header.payload_bytes > max_bytes - meter.bytes())
        return absl::ResourceExhaustedError("the stream is longer than the session was granted");
      meter.Add(frame->header.payload_bytes, frame->received_at);
    }
    if (auto moves = meter.Look(frame->received_at); !moves.ok()) return moves;
    if (frame->received_at >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
  }
  return meter.Finish();
}

class FrameSession final : public Session {
 public:
  FrameSession(DoorConnection connection, std::unique_ptr<FrameCarrier> carrier)
      : grant_(std::move(connection.grant)),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        door_(std::move(connection.fd)),
        carrier_(std::move(carrier)) {}

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (spec.payload_bytes > carrier_->max_ping_payload())
      return absl::InvalidArgumentError(
          absl::StrCat("pings carry at most ", carrier_->max_ping_payload(), " bytes here"));
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, door_.get());
    auto sample = RunPing(spec, deadline, stop);
    if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) broken_ = true;
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (auto status = CheckStreamSpec(spec, max_stream_bytes_, carrier_->max_chunk()); !status.ok()) return status;
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, door_.get());
    auto sample = RunStream(spec, deadline, stop);
    if (!sample.ok()) broken_ = true;
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return carrier_->details(); }

 private:
  absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");  // the echo may come before anybody would wait
    EncodePing(grant_.session_nonce(), ++sequence_, spec.payload_bytes, &message_);
    if (auto status = carrier_->Prepare(message_, deadline, stop); !status.ok()) return status;

    MonotonicTime sent_at = MonotonicNow();
    if (auto status = carrier_->Post(); !status.ok()) return status;
    absl::StatusOr<FrameCarrier::Incoming> echo;
    while (true) {
      echo = carrier_->Receive(deadline, stop);
      if (!echo.ok()) return echo.status();
      const Echo kind = EchoOf(message_, echo->header, echo->payload);
      if (kind == Echo::kOurs) break;
      if (kind == Echo::kWrong) return WrongEcho();
      if (MonotonicNow() >= deadline) return LateEchoesOnly();
    }
    RttSample sample;
    sample.rtt = echo->received_at - sent_at;
    sample.responder_hold = UnpackPong(echo->header.value).hold;
    return sample;
  }

  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    const uint64_t nonce = grant_.session_nonce();
    const bool from_peer = spec.direction == Direction::kFromPeer;
    if (from_peer && carrier_->pulls()) return carrier_->Pull(spec, max_stream_bytes_, deadline, stop);
    auto status = SendMessage(*carrier_, FrameKind::kStreamOrder, nonce, ++sequence_, OrderOf(spec), deadline, stop);
    if (!status.ok()) return status;
    if (from_peer) return ReceiveStream(*carrier_, nonce, spec, max_stream_bytes_, deadline, stop);
    std::optional<StreamSample::Sent> ours;
    if (!carrier_->pulls()) {
      auto sent = SendStream(*carrier_, nonce, spec, max_stream_bytes_, deadline, stop);
      if (!sent.ok()) return sent.status();
      ours = *sent;
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

  const v1::SessionReply::Grant grant_;
  const uint64_t max_stream_bytes_;
  const UniqueFd door_;
  const std::unique_ptr<FrameCarrier> carrier_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  bool broken_ = false;
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
      if (auto status = Answer(*frame); !status.ok()) return status;
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
        if (connection_.request.purpose() != v1::SESSION_PURPOSE_STREAM)
          return absl::PermissionDeniedError("a stream in a session that was granted for pings");
        return RunStream(frame);
      default:
        return absl::InvalidArgumentError("a frame that a prober does not send");
    }
  }

  absl::Status Echo(const FrameCarrier::Incoming& ping) {
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    FrameHeader header = ping.header;
    header.kind = FrameKind::kPong;
    header.value = PackPong((MonotonicNow() - ping.received_at).count(), false, 0);
    ComposeFrame(header, ping.payload, &message_);
    if (auto status = carrier_.Prepare(message_, Deadline(), stop_); !status.ok()) return status;
    return carrier_.Post();
  }

  absl::Status RunStream(const FrameCarrier::Incoming& frame) {
    v1::StreamOrder order;
    if (!ParsePayload(frame.payload, &order)) return absl::InvalidArgumentError("a stream order that cannot be read");
    auto spec = SpecOf(order);
    if (!spec.ok()) return spec.status();
    const uint64_t max_bytes = connection_.request.max_stream_bytes();
    if (spec->message_bytes > carrier_.max_chunk())
      return absl::InvalidArgumentError("a stream of larger messages than this transport has");
    if (spec->direction == Direction::kFromPeer)
      return SendStream(carrier_, nonce_, *spec, max_bytes, end_, stop_).status();
    auto sample = carrier_.pulls() ? carrier_.Pull(*spec, max_bytes, end_, stop_)
                                   : ReceiveStream(carrier_, nonce_, *spec, max_bytes, end_, stop_);
    if (!sample.ok()) return sample.status();
    auto status =
        SendMessage(carrier_, FrameKind::kStreamReport, nonce_, frame.header.sequence, ReportOf(*sample), end_, stop_);
    return status.ok() ? carrier_.Flush(end_, stop_) : status;
  }

  const DoorConnection& connection_;
  FrameCarrier& carrier_;
  const ServeLimits limits_;
  const MonotonicTime end_;
  const std::stop_token& stop_;
  const uint64_t nonce_;
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
  return FrameResponder(connection, carrier, limits, stop).Run();
}

absl::Status ExchangeReady(FrameCarrier& carrier, uint64_t nonce, MonotonicTime deadline, const std::stop_token& stop) {
  if (auto status = SendBare(carrier, FrameKind::kReady, nonce, deadline, stop); !status.ok()) return status;
  auto frame = carrier.Receive(deadline, stop);
  if (!frame.ok()) return frame.status();
  if (frame->header.kind != FrameKind::kReady || frame->header.nonce != nonce) return NotOfThisSession();
  return carrier.Flush(deadline, stop);
}

}  // namespace netsense
