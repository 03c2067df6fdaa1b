#include "transports/grpc/unary_session.h"

#include <grpcpp/client_context.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "netsense/probe.grpc.pb.h"
#include "transports/door_session.h"
#include "transports/grpc/prober_stream.h"
#include "transports/stream_meter.h"

namespace netsense::grpc_backend {
namespace {

class UnarySession final : public DoorSession {
 public:
  // `life_line`: its end is the session's end.
  UnarySession(DoorConnection connection, std::unique_ptr<ProberStream> life_line)
      : DoorSession(connection, {kMaxPingPayload, kMaxChunkBytes}),
        fd_(std::move(connection.fd)),
        life_line_(std::move(life_line)),
        stub_(v1::NetworkProbe::NewStub(life_line_->channel())) {}

  SessionDetails details() const override { return {.mode = kUnary, .device = ""}; }

 private:
  absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline,
                                    const std::stop_token& stop) override {
    v1::NetPingRequest request;
    request.set_nonce(nonce());
    request.set_sequence(++sequence_);
    request.set_payload(std::string(spec.payload_bytes, static_cast<char>(sequence_ & 0xff)));
    v1::NetPingReply reply;
    grpc::ClientContext context;
    auto call = stub_->PrepareAsyncNetPing(&context, request, &life_line_->queue());
    MonotonicTime sent_at = MonotonicNow();
    MonotonicTime received_at;
    call->StartCall();
    RETURN_IF_ERROR(FinishCall(*call, context, &reply, deadline, stop, &received_at));
    if (reply.nonce() != request.nonce() || reply.sequence() != request.sequence() ||
        reply.payload() != request.payload())
      return WrongEcho();
    RttSample sample;
    sample.rtt = received_at - sent_at;
    const PongValue pong = UnpackPong(reply.value());
    sample.responder_hold = pong.hold;
    sample.retransmits = retransmits_.SinceLast(Retransmits(door()), pong.retransmits);
    return sample;
  }

  // The prober counts what it receives, the responder tells what it received so far with each reply.
  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline,
                                         const std::stop_token& stop) override {
    const bool to_peer = spec.direction == Direction::kToPeer;
    SendBounds bounds = SendBoundsOf(spec, max_stream_bytes(), deadline);
    StreamMeter meter(spec.window, spec.bytes, spec.moved);
    SendMeter sent;
    v1::NetBandwidthProbeRequest request;
    request.set_nonce(nonce());
    request.set_window_ns(static_cast<uint64_t>(spec.window.count()));
    request.set_first(true);
    v1::NetBandwidthProbeReply reply;
    const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
    while (bounds.GoesOn()) {
      const uint32_t bytes = bounds.Next(message_bytes);
      if (!to_peer) request.set_reply_bytes(bytes);
      if (to_peer && request.payload().size() != bytes) request.set_payload(std::string(bytes, '\0'));
      grpc::ClientContext context;
      auto call = stub_->PrepareAsyncNetBandwidthProbe(&context, request, &life_line_->queue());
      MonotonicTime received_at;
      call->StartCall();
      // A message of a stream that is bounded by time may be long, and take its time.
      const MonotonicTime until =
          spec.bytes == 0 ? deadline : std::min(deadline, MonotonicNow() + deadlines::kStreamStall());
      RETURN_IF_ERROR(FinishCall(*call, context, &reply, until, stop, &received_at));
      if (reply.nonce() != request.nonce() || (!to_peer && reply.payload().size() != bytes))
        return BrokenProtocol("an answer to something else than it was asked");
      // Either way it is we who see whether the stream moves.
      meter.Add(bytes, received_at);
      RETURN_IF_ERROR(meter.Look(received_at));
      if (to_peer) sent.Add(bytes, received_at);
      request.set_first(false);
      bounds.left -= bytes;
    }
    if (to_peer) {
      auto sample = netsense::SampleOf(reply.received());
      if (sample.ok()) sample->sent = sent.sent();
      return sample;
    }
    if (MonotonicNow() >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
    return meter.Finish();
  }

  template <typename Call, typename Reply>
  absl::Status FinishCall(Call& call, grpc::ClientContext& context, Reply* reply, MonotonicTime deadline,
                          const std::stop_token& stop, MonotonicTime* received_at) {
    grpc::Status status;
    call.Finish(reply, &status, life_line_->BeginCall());
    RETURN_IF_ERROR(life_line_->AwaitCall(context, deadline, stop, received_at));
    if (status.ok()) return absl::OkStatus();
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (status.error_code() == grpc::StatusCode::UNKNOWN || status.error_code() == grpc::StatusCode::INTERNAL ||
        status.error_code() == grpc::StatusCode::CANCELLED)
      return absl::UnavailableError(absl::StrCat("the peer ended the call: ", status.error_message()));
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }

  const UniqueFd fd_;  // the connection once more: shutting it down ends every call
  const std::unique_ptr<ProberStream> life_line_;
  const std::unique_ptr<v1::NetworkProbe::Stub> stub_;
  uint64_t sequence_ = 0;
  RetransmitCount retransmits_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenUnarySession(DoorConnection connection, MonotonicTime deadline,
                                                          const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto life_line, ProberStream::Open(&connection, deadline, stop));
  return std::make_unique<UnarySession>(std::move(connection), std::move(life_line));
}

}  // namespace netsense::grpc_backend
