#include "transports/grpc/session.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "netsense/probe.grpc.pb.h"
#include "transports/grpc/completion.h"
#include "transports/stream_meter.h"

namespace netsense::grpc_backend {
namespace {

enum ProberTag : intptr_t { kStarted = 1, kWritten, kRead, kUnaryDone, kEnded };

class GrpcSession final : public Session {
 public:
  GrpcSession(DoorConnection connection, UniqueFd watch)
      : grant_(std::move(connection.grant)),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        unary_(connection.request.options().mode() != kStream),
        busy_poll_(connection.request.wait_mode() == v1::WAIT_MODE_BUSY_POLL),
        watch_(std::move(watch)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    if (!unary_) ForEachStreamArgument([&](const char* name, int value) { arguments.SetInt(name, value); });
    channel_ = grpc::CreateCustomInsecureChannelFromFd("netsense", connection.fd.Release(), arguments);
    stub_ = v1::NetworkProbe::NewStub(channel_);
  }

  ~GrpcSession() override {
    stream_context_.TryCancel();
    Drain(queue_);
  }

  // The stream is the session's life line in both modes: its end is the session's end.
  absl::Status Start(MonotonicTime deadline, const std::stop_token& stop) {
    ShutdownOnStop guard(stop, watch_.get());
    stream_ = grpc::GenericStub(channel_).PrepareCall(&stream_context_, kStreamMethod, &queue_);
    stream_->StartCall(Tag(kStarted));
    if (auto status = Await(kStarted, deadline, stop); !status.ok()) return status;
    started_ = false;
    stream_->ReadInitialMetadata(Tag(kStarted));  // the responder's: its server is up
    auto status = Await(kStarted, deadline, stop);
    if (status.ok()) StartRead();
    return status;
  }

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (spec.payload_bytes > kMaxPingPayload)
      return absl::InvalidArgumentError(absl::StrCat("grpc pings carry at most ", kMaxPingPayload, " bytes"));
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, watch_.get());
    auto sample = unary_ ? UnaryPing(spec, deadline, stop) : StreamPing(spec, deadline, stop);
    if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) Break();
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (auto status = CheckStreamSpec(spec, max_stream_bytes_, kMaxChunkBytes); !status.ok()) return status;
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, watch_.get());
    auto sample = unary_                                 ? UnaryStream(spec, deadline, stop)
                  : spec.direction == Direction::kToPeer ? StreamToPeer(spec, deadline, stop)
                                                         : StreamFromPeer(spec, deadline, stop);
    if (!sample.ok()) Break();
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return {.mode = unary_ ? kUnary : kStream, .device = ""}; }

 private:
  void Break() {
    broken_ = true;
    ResetOnClose(watch_.get());  // nobody waits for what is still in its buffer
  }

  // ---- mode "unary"

  absl::StatusOr<RttSample> UnaryPing(const PingSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    v1::NetPingRequest request;
    request.set_nonce(grant_.session_nonce());
    request.set_sequence(++sequence_);
    request.set_payload(std::string(spec.payload_bytes, static_cast<char>(sequence_ & 0xff)));
    v1::NetPingReply reply;
    grpc::ClientContext context;
    auto call = stub_->PrepareAsyncNetPing(&context, request, &queue_);
    MonotonicTime sent_at = MonotonicNow();
    MonotonicTime received_at;
    call->StartCall();
    if (auto status = FinishCall(*call, context, &reply, deadline, stop, &received_at); !status.ok()) return status;
    if (reply.nonce() != request.nonce() || reply.sequence() != request.sequence() ||
        reply.payload() != request.payload())
      return WrongEcho();
    return SampleOf(received_at - sent_at, UnpackPong(reply.value()));
  }

  RttSample SampleOf(std::chrono::nanoseconds rtt, const PongValue& pong) {
    RttSample sample;
    sample.rtt = rtt;
    sample.responder_hold = pong.hold;
    const uint32_t ours = Retransmits(watch_.get());
    sample.retransmits = (ours - own_retransmits_) + ((pong.retransmits - peer_retransmits_) & kPongRetransmits);
    own_retransmits_ = ours;
    peer_retransmits_ = pong.retransmits;
    return sample;
  }

  // The prober counts what it receives, the responder tells what it received so far with each reply.
  absl::StatusOr<StreamSample> UnaryStream(const StreamSpec& spec, MonotonicTime deadline,
                                           const std::stop_token& stop) {
    const bool to_peer = spec.direction == Direction::kToPeer;
    SendBounds bounds = BoundsOf(spec, max_stream_bytes_, deadline);
    StreamMeter meter(spec.window, spec.bytes, spec.moved);
    SendMeter sent;
    v1::NetBandwidthProbeRequest request;
    request.set_nonce(grant_.session_nonce());
    request.set_window_ns(static_cast<uint64_t>(spec.window.count()));
    request.set_first(true);
    v1::NetBandwidthProbeReply reply;
    const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
    while (bounds.GoesOn()) {
      const uint32_t bytes = bounds.Next(message_bytes);
      if (!to_peer) request.set_reply_bytes(bytes);
      if (to_peer && request.payload().size() != bytes) request.set_payload(std::string(bytes, '\0'));
      grpc::ClientContext context;
      auto call = stub_->PrepareAsyncNetBandwidthProbe(&context, request, &queue_);
      MonotonicTime received_at;
      call->StartCall();
      // A message of a stream that is bounded by time may be long, and take its time.
      const MonotonicTime until =
          spec.bytes == 0 ? deadline : std::min(deadline, MonotonicNow() + deadlines::kStreamStall());
      auto status = FinishCall(*call, context, &reply, until, stop, &received_at);
      if (!status.ok()) return status;
      if (reply.nonce() != request.nonce() || (!to_peer && reply.payload().size() != bytes))
        return BrokenProtocol("an answer to something else than it was asked");
      // Either way it is we who see whether the stream moves.
      meter.Add(bytes, received_at);
      if (auto moves = meter.Look(received_at); !moves.ok()) return moves;
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
    call.Finish(reply, &status, Tag(kUnaryDone));
    auto waited = Await(kUnaryDone, deadline, stop);
    *received_at = MonotonicNow();
    if (!waited.ok()) {
      if (!unary_done_) {  // the call must be over before what it points to goes away
        context.TryCancel();
        while (!unary_done_) TakeOne(MonotonicTime::max(), {});
      }
      unary_done_ = false;
      return waited;
    }
    unary_done_ = false;
    if (status.ok()) return absl::OkStatus();
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (status.error_code() == grpc::StatusCode::UNKNOWN || status.error_code() == grpc::StatusCode::INTERNAL ||
        status.error_code() == grpc::StatusCode::CANCELLED)
      return absl::UnavailableError(absl::StrCat("the peer ended the call: ", status.error_message()));
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }

  // ---- mode "stream"

  absl::StatusOr<RttSample> StreamPing(const PingSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    EncodePing(grant_.session_nonce(), ++sequence_, spec.payload_bytes, &message_);
    grpc::ByteBuffer outgoing(MessageCopy(message_));
    MonotonicTime sent_at = MonotonicNow();
    if (auto status = Write(outgoing, deadline, stop, false); !status.ok()) return status;
    RawFrame frame;
    MonotonicTime received_at;
    while (true) {
      if (auto status = NextFrame(deadline, stop, &frame, &received_at); !status.ok()) return status;
      const Echo echo = EchoOf(message_, frame.header, Join(frame.payload));
      if (echo == Echo::kOurs) return SampleOf(received_at - sent_at, UnpackPong(frame.header.value));
      if (echo == Echo::kWrong) return WrongEcho();
      if (MonotonicNow() >= deadline) return LateEchoesOnly();
    }
  }

  absl::StatusOr<StreamSample> StreamToPeer(const StreamSpec& spec, MonotonicTime deadline,
                                            const std::stop_token& stop) {
    auto status = SendOrder(spec, deadline, stop);
    if (!status.ok()) return status;
    SendBounds bounds = BoundsOf(spec, max_stream_bytes_, deadline);
    const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
    SendMeter sent(spec.moved);
    for (uint64_t sequence = 0; bounds.GoesOn(); ++sequence) {
      const uint32_t bytes = bounds.Next(message_bytes);
      status = Write(ChunkMessage(grant_.session_nonce(), sequence, bytes), deadline, stop, true);
      if (!status.ok()) return status;
      bounds.left -= bytes;
      sent.Add(bytes, MonotonicNow());
    }
    status = Write(RawFrame{{.kind = FrameKind::kStreamEnd, .nonce = grant_.session_nonce()}, {}}.ToMessage(), deadline,
                   stop, true);
    if (!status.ok()) return status;
    RawFrame frame;
    MonotonicTime ignored;
    do {  // the late echo of a ping that was given up is dropped
      if (status = NextFrame(deadline, stop, &frame, &ignored); !status.ok()) return status;
    } while (frame.header.kind == FrameKind::kPong);
    return ReadReport(frame.header, Join(frame.payload), sent.sent());
  }

  absl::StatusOr<StreamSample> StreamFromPeer(const StreamSpec& spec, MonotonicTime deadline,
                                              const std::stop_token& stop) {
    if (auto status = SendOrder(spec, deadline, stop); !status.ok()) return status;
    StreamMeter meter(spec.window, spec.bytes, spec.moved);
    while (!spec.finish.stop_requested()) {
      RawFrame frame;
      MonotonicTime received_at;
      const MonotonicTime until = std::min(deadline, meter.look_at());
      auto status = NextFrame(until, stop, &frame, &received_at);
      if (absl::IsDeadlineExceeded(status) && until < deadline) {
        if (status = meter.Look(MonotonicNow()); status.ok()) continue;
      }
      if (!status.ok()) return status;
      if (frame.header.kind == FrameKind::kStreamEnd) break;
      if (frame.header.kind != FrameKind::kPong) {
        if (frame.header.kind != FrameKind::kChunk) return BrokenProtocol("a frame that does not belong into a stream");
        if (frame.header.payload_bytes > max_stream_bytes_ - meter.bytes())
          return absl::ResourceExhaustedError("the stream is longer than the session was granted");
        meter.Add(frame.header.payload_bytes, received_at);
      }
      if (status = meter.Look(received_at); !status.ok()) return status;
      if (received_at >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
    }
    return meter.Finish();
  }

  absl::Status SendOrder(const StreamSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    ComposeMessage(FrameKind::kStreamOrder, grant_.session_nonce(), ++sequence_, OrderOf(spec), &message_);
    return Write(MessageCopy(message_), deadline, stop, true);
  }

  static grpc::ByteBuffer MessageCopy(const std::vector<uint8_t>& bytes) {
    grpc::Slice slice(bytes.data(), bytes.size());
    return grpc::ByteBuffer(&slice, 1);
  }

  // One write at a time, as gRPC wants it: one that is still under way is waited for first.
  absl::Status Write(const grpc::ByteBuffer& message, MonotonicTime deadline, const std::stop_token& stop,
                     bool wait_until_written) {
    if (write_pending_)
      if (auto status = Await(kWritten, deadline, stop); !status.ok()) return status;
    stream_->Write(message, Tag(kWritten));
    write_pending_ = true;
    return wait_until_written ? Await(kWritten, deadline, stop) : absl::OkStatus();
  }

  void StartRead() {
    stream_->Read(&incoming_, Tag(kRead));
    read_pending_ = true;
  }

  // The next frame of this session; the read after it is under way when this returns.
  absl::Status NextFrame(MonotonicTime deadline, const std::stop_token& stop, RawFrame* frame,
                         MonotonicTime* received_at) {
    if (auto status = Await(kRead, deadline, stop); !status.ok()) return status;
    *received_at = MonotonicNow();
    bool good = RawFrame::Parse(incoming_, grant_.session_nonce(), frame);
    StartRead();
    return good ? absl::OkStatus() : BrokenProtocol("not a frame of this session");
  }

  // ---- events

  // Takes one event. False at the deadline.
  bool TakeOne(MonotonicTime deadline, const std::stop_token& stop) {
    auto event = NextCompletion(queue_, busy_poll_, deadline, stop);
    if (!event) return false;
    switch (event->tag) {
      case kStarted:
        started_ = true;
        break;
      case kWritten:
        write_pending_ = false;
        break;
      case kRead:
        read_pending_ = false;
        break;
      case kUnaryDone:
        unary_done_ = true;
        return true;
      default:
        break;
    }
    if (!event->ok) ended_ = true;  // the stream is over, and with it the session
    return true;
  }

  bool Done(ProberTag tag) const {
    switch (tag) {
      case kStarted:
        return started_;
      case kWritten:
        return !write_pending_;
      case kRead:
        return !read_pending_;
      default:
        return unary_done_;
    }
  }

  absl::Status Await(ProberTag tag, MonotonicTime deadline, const std::stop_token& stop) {
    while (!Done(tag) && !ended_) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      if (!TakeOne(deadline, stop) && MonotonicNow() >= deadline && !Done(tag))
        return absl::DeadlineExceededError("no answer in time");
    }
    if (tag == kUnaryDone && unary_done_) return absl::OkStatus();  // its own status says more
    if (!ended_) return absl::OkStatus();
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    return absl::UnavailableError("the peer closed the connection");
  }

  const v1::SessionReply::Grant grant_;
  const uint64_t max_stream_bytes_;
  const bool unary_;
  const bool busy_poll_;
  const UniqueFd watch_;  // the connection once more: shutting it down ends every call
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::NetworkProbe::Stub> stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext stream_context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer incoming_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  uint32_t own_retransmits_ = 0, peer_retransmits_ = 0;  // at the last answer
  bool started_ = false;
  bool write_pending_ = false;
  bool read_pending_ = false;
  bool unary_done_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenSession(DoorConnection connection, MonotonicTime deadline,
                                                     const std::stop_token& stop) {
  UniqueFd watch(fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!watch) return absl::InternalError("no descriptor left for a gRPC session");
  auto session = std::make_unique<GrpcSession>(std::move(connection), std::move(watch));
  if (auto status = session->Start(deadline, stop); !status.ok()) return status;
  return session;
}

}  // namespace netsense::grpc_backend
