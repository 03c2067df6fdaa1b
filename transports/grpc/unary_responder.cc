#include "transports/grpc/responder.h"

#include <fcntl.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/socket.h"
#include "netsense/probe.grpc.pb.h"
#include "transports/grpc/completion.h"
#include "transports/stream_meter.h"

namespace netsense::grpc_backend {
namespace {

using Service = v1::NetworkProbe::WithRawMethod_NetStream<v1::NetworkProbe::WithAsyncMethod_NetBandwidthProbe<
    v1::NetworkProbe::WithAsyncMethod_NetPing<v1::NetworkProbe::Service>>>;

enum ResponderTag : intptr_t {
  kPingArrived = 1,
  kPingAnswered,
  kProbeArrived,
  kProbeAnswered,
  kStreamArrived,
  kStreamGreeted,
  kStreamRead,
  kStreamWritten,
  kStreamOver,
};

// One unary call after another.
template <typename Request, typename Reply>
struct UnaryCall {
  std::unique_ptr<grpc::ServerContext> context;
  std::unique_ptr<grpc::ServerAsyncResponseWriter<Reply>> writer;
  Request request;
  Reply reply;

  void Renew() {
    writer.reset();
    context = std::make_unique<grpc::ServerContext>();
    writer = std::make_unique<grpc::ServerAsyncResponseWriter<Reply>>(context.get());
  }
};

class GrpcResponder {
 public:
  GrpcResponder(DoorConnection connection, UniqueFd watch, const ServeLimits& limits, std::stop_token stop)
      : nonce_(connection.grant.session_nonce()),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        stream_allowed_(connection.request.purpose() == v1::SESSION_PURPOSE_STREAM),
        busy_poll_(connection.grant.wait_mode() == v1::WAIT_MODE_BUSY_POLL),
        limits_(limits),
        end_(MonotonicNow() + limits.total),
        stop_(std::move(stop)),
        watch_(std::move(watch)) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    if (connection.request.options().mode() == kStream)
      ForEachStreamArgument([&](const char* name, int value) { builder.AddChannelArgument(name, value); });
    builder.RegisterService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    if (server_) grpc::AddInsecureChannelFromFd(server_.get(), connection.fd.Release());
  }

  ~GrpcResponder() {
    shutdown(watch_.get(), SHUT_RDWR);
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    Drain(*queue_);
  }

  absl::Status Run() {
    if (!server_) return absl::InternalError("gRPC could not start a server");
    ShutdownOnStop guard(stop_, watch_.get());
    RequestPing();
    RequestProbe();
    service_.RequestNetStream(&stream_context_, &stream_, queue_.get(), queue_.get(), Tag(kStreamArrived));
    stream_context_.AsyncNotifyWhenDone(Tag(kStreamOver));
    while (!over_ && outcome_.ok()) {
      const MonotonicTime deadline = std::min(end_, last_heard_ + limits_.idle);
      if (TakeOne(counting_ ? std::min(deadline, meter_.look_at()) : deadline)) continue;
      if (stop_.stop_requested()) return absl::CancelledError("stopped");
      if (MonotonicNow() >= deadline) return TimedOut();
      if (counting_)
        if (auto moves = meter_.Look(MonotonicNow()); !moves.ok()) Fail(std::move(moves));
    }
    if (!outcome_.ok()) ResetOnClose(watch_.get());
    return outcome_;
  }

 private:
  static absl::Status TimedOut() { return absl::DeadlineExceededError("the prober asked for nothing for too long"); }

  void RequestPing() {
    ping_.Renew();
    service_.RequestNetPing(ping_.context.get(), &ping_.request, ping_.writer.get(), queue_.get(), queue_.get(),
                            Tag(kPingArrived));
  }
  void RequestProbe() {
    probe_.Renew();
    service_.RequestNetBandwidthProbe(probe_.context.get(), &probe_.request, probe_.writer.get(), queue_.get(),
                                      queue_.get(), Tag(kProbeArrived));
  }

  // Takes one event and does what it asks for. False at the deadline, or when stopped.
  bool TakeOne(MonotonicTime deadline) {
    auto event = NextCompletion(*queue_, busy_poll_, deadline, stop_);
    if (!event) return false;
    const MonotonicTime now = MonotonicNow();
    switch (event->tag) {
      case kPingArrived:
        if (event->ok) AnswerPing(now);
        break;
      case kPingAnswered:
        RequestPing();
        break;
      case kProbeArrived:
        if (event->ok) AnswerProbe(now);
        break;
      case kProbeAnswered:
        RequestProbe();
        break;
      case kStreamArrived:
        if (event->ok) stream_.SendInitialMetadata(Tag(kStreamGreeted));
        break;
      case kStreamGreeted:
        if (event->ok) ReadNext();
        break;
      case kStreamRead:
        event->ok ? TakeFrame(now) : End();
        break;
      case kStreamWritten:
        write_pending_ = false;
        if (!event->ok) End();
        break;
      case kStreamOver:
        End();
        break;
    }
    last_heard_ = now;
    return true;
  }

  void End() { over_ = true; }
  void Fail(absl::Status status) {
    if (outcome_.ok()) outcome_ = std::move(status);
  }

  // Of a pong.
  uint64_t Value(MonotonicTime received_at) const {
    return PackPong((MonotonicNow() - received_at).count(), false, retransmits_);
  }

  // ---- unary calls

  void AnswerPing(MonotonicTime received_at) {
    if (ping_.request.nonce() != nonce_ || ping_.request.payload().size() > kMaxPingPayload)
      return Fail(absl::InvalidArgumentError("not a ping of this session"));
    ping_.reply.set_nonce(nonce_);
    ping_.reply.set_sequence(ping_.request.sequence());
    ping_.reply.mutable_payload()->swap(*ping_.request.mutable_payload());
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    ping_.reply.set_value(Value(received_at));
    ping_.writer->Finish(ping_.reply, grpc::Status::OK, Tag(kPingAnswered));
    retransmits_ = Retransmits(watch_.get());
  }

  void AnswerProbe(MonotonicTime received_at) {
    const v1::NetBandwidthProbeRequest& request = probe_.request;
    if (!stream_allowed_)
      return RefuseProbe(grpc::StatusCode::PERMISSION_DENIED, "a stream in a session that was granted for pings");
    if (request.nonce() != nonce_ || request.reply_bytes() > kMaxChunkBytes)
      return RefuseProbe(grpc::StatusCode::INVALID_ARGUMENT, "not a bandwidth probe of this session");
    if (request.first()) {
      meter_ = StreamMeter(std::chrono::nanoseconds(static_cast<int64_t>(request.window_ns() & INT64_MAX)), 0);
      moved_ = 0;
    }
    const uint64_t bytes = request.payload().size() + request.reply_bytes();
    if (bytes > max_stream_bytes_ - moved_)
      return RefuseProbe(grpc::StatusCode::RESOURCE_EXHAUSTED, "the stream is longer than the session was granted");
    moved_ += bytes;
    if (!request.payload().empty()) meter_.Add(request.payload().size(), received_at);
    probe_.reply.set_nonce(nonce_);
    *probe_.reply.mutable_received() = ReportOf(meter_.Finish());
    if (probe_.reply.payload().size() != request.reply_bytes())
      probe_.reply.set_payload(std::string(request.reply_bytes(), '\0'));
    probe_.writer->Finish(probe_.reply, grpc::Status::OK, Tag(kProbeAnswered));
  }

  void RefuseProbe(grpc::StatusCode code, const std::string& reason) {
    probe_.writer->FinishWithError(grpc::Status(code, reason), Tag(kProbeAnswered));
  }

  // ---- the stream

  void ReadNext() { stream_.Read(&incoming_, Tag(kStreamRead)); }

  void TakeFrame(MonotonicTime received_at) {
    RawFrame frame;
    if (!RawFrame::Parse(incoming_, nonce_, &frame))
      return Fail(absl::InvalidArgumentError("not a frame of this session"));
    switch (frame.header.kind) {
      case FrameKind::kPing:
        if (frame.header.payload_bytes > kMaxPingPayload) return Fail(absl::InvalidArgumentError("too large a ping"));
        Echo(frame, received_at);
        return ReadNext();
      case FrameKind::kStreamOrder:
        return StartStream(frame);
      case FrameKind::kChunk:
      case FrameKind::kStreamEnd:
        return CountChunk(frame, received_at);
      default:
        return Fail(absl::InvalidArgumentError("a frame that a prober does not send"));
    }
  }

  void Echo(RawFrame& frame, MonotonicTime received_at) {
    if (!AwaitWritten()) return;
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    frame.header.kind = FrameKind::kPong;
    frame.header.value = Value(received_at);
    Write(frame.ToMessage());
    retransmits_ = Retransmits(watch_.get());
  }

  void StartStream(const RawFrame& frame) {
    v1::StreamOrder order;
    if (!stream_allowed_) return Fail(absl::PermissionDeniedError("a stream in a session that was granted for pings"));
    if (!ParsePayload(Join(frame.payload), &order))
      return Fail(absl::InvalidArgumentError("a stream order that cannot be read"));
    auto spec = SpecOf(order);
    if (!spec.ok()) return Fail(spec.status());
    if (spec->message_bytes > kMaxChunkBytes)
      return Fail(absl::InvalidArgumentError("a stream of larger messages than this transport has"));
    ReadNext();
    if (spec->direction == Direction::kToPeer) {
      meter_ = StreamMeter(spec->window, spec->bytes);
      counting_ = true;
      return;
    }
    SendBounds bounds = BoundsOf(*spec, max_stream_bytes_, end_);
    const uint32_t message_bytes = MessageBytesOf(*spec, kChunkBytes);
    for (uint64_t sequence = 0; bounds.GoesOn(); ++sequence) {
      const uint32_t bytes = bounds.Next(message_bytes);
      if (!AwaitWritten()) return;
      Write(ChunkMessage(nonce_, sequence, bytes));
      bounds.left -= bytes;
    }
    if (AwaitWritten()) Write(RawFrame{{.kind = FrameKind::kStreamEnd, .nonce = nonce_}, {}}.ToMessage());
  }

  void CountChunk(const RawFrame& frame, MonotonicTime received_at) {
    if (!counting_) return Fail(absl::InvalidArgumentError("a chunk outside of a stream"));
    ReadNext();
    if (frame.header.kind == FrameKind::kChunk) {
      if (frame.header.payload_bytes > max_stream_bytes_ - meter_.bytes())
        return Fail(absl::ResourceExhaustedError("the stream is longer than the session was granted"));
      meter_.Add(frame.header.payload_bytes, received_at);
      if (auto moves = meter_.Look(received_at); !moves.ok()) Fail(std::move(moves));
      return;
    }
    counting_ = false;
    if (!AwaitWritten()) return;
    std::vector<uint8_t> message;
    ComposeMessage(FrameKind::kStreamReport, nonce_, frame.header.sequence, ReportOf(meter_.Finish()), &message);
    grpc::Slice slice(message.data(), message.size());
    Write(grpc::ByteBuffer(&slice, 1));
  }

  void Write(const grpc::ByteBuffer& message) {
    stream_.Write(message, Tag(kStreamWritten));
    write_pending_ = true;
  }

  // gRPC takes one write at a time.
  bool AwaitWritten() {
    while (write_pending_ && !over_ && outcome_.ok())
      if (!TakeOne(std::min(end_, MonotonicNow() + limits_.idle)))
        Fail(stop_.stop_requested() ? absl::CancelledError("stopped") : TimedOut());
    return !over_ && outcome_.ok();
  }

  const uint64_t nonce_;
  const uint64_t max_stream_bytes_;
  const bool stream_allowed_;
  const bool busy_poll_;
  const ServeLimits limits_;
  const MonotonicTime end_;
  const std::stop_token stop_;
  const UniqueFd watch_;  // the connection once more: shutting it down ends every call
  Service service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  UnaryCall<v1::NetPingRequest, v1::NetPingReply> ping_;
  UnaryCall<v1::NetBandwidthProbeRequest, v1::NetBandwidthProbeReply> probe_;
  grpc::ServerContext stream_context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_{&stream_context_};
  grpc::ByteBuffer incoming_;
  StreamMeter meter_{std::chrono::milliseconds(100), 0};
  uint32_t retransmits_ = 0;  // after the last echo: not while a ping is timed
  uint64_t moved_ = 0;        // by the unary stream, either way
  bool counting_ = false;
  bool write_pending_ = false;
  bool over_ = false;
  absl::Status outcome_;
  MonotonicTime last_heard_ = MonotonicNow();
};

}  // namespace

absl::Status Respond(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) {
  UniqueFd watch(fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!watch) return absl::InternalError("no descriptor left for a gRPC session");
  return GrpcResponder(std::move(connection), std::move(watch), limits, std::move(stop)).Run();
}

}  // namespace netsense::grpc_backend
