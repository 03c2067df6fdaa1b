#include "transports/grpc/unary_responder.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/grpc/completion.h"
#include "transports/grpc/server.h"
#include "transports/stream_receiver.h"

namespace netsense::grpc_backend {
namespace {

enum ResponderTag : intptr_t {
  kPingArrived = 1,
  kPingAnswered,
  kProbeArrived,
  kProbeAnswered,
  kStreamArrived,
  kStreamGreeted,
  kStreamRead,
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

class UnaryResponder {
 public:
  UnaryResponder(const DoorConnection& connection, std::unique_ptr<SessionServer> server, const ServeLimits& limits,
                 const std::stop_token& stop)
      : request_(connection.request),
        nonce_(connection.grant.session_nonce()),
        busy_poll_(connection.grant.wait_mode() == v1::WAIT_MODE_BUSY_POLL),
        limits_(limits),
        end_(MonotonicNow() + limits.total),
        stop_(stop),
        server_(std::move(server)) {}

  absl::Status Run() {
    RequestPing();
    RequestProbe();
    life_line_context_.AsyncNotifyWhenDone(Tag(kStreamOver));
    server_->service().RequestNetStream(&life_line_context_, &life_line_, &server_->queue(), &server_->queue(),
                                        Tag(kStreamArrived));
    while (!over_ && outcome_.ok()) {
      const MonotonicTime deadline = std::min(end_, last_heard_ + limits_.idle);
      if (TakeOne(deadline)) continue;
      if (stop_.stop_requested()) return absl::CancelledError("stopped");
      if (MonotonicNow() >= deadline) return absl::DeadlineExceededError("the prober asked for nothing for too long");
    }
    return outcome_;
  }

 private:
  void RequestPing() {
    ping_.Renew();
    server_->service().RequestNetPing(ping_.context.get(), &ping_.request, ping_.writer.get(), &server_->queue(),
                                      &server_->queue(), Tag(kPingArrived));
  }
  void RequestProbe() {
    probe_.Renew();
    server_->service().RequestNetBandwidthProbe(probe_.context.get(), &probe_.request, probe_.writer.get(),
                                                &server_->queue(), &server_->queue(), Tag(kProbeArrived));
  }

  // Takes one event and does what it asks for. False at the deadline, or when stopped.
  bool TakeOne(MonotonicTime deadline) {
    auto event = NextCompletion(server_->queue(), busy_poll_, deadline, stop_);
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
        if (event->ok) life_line_.SendInitialMetadata(Tag(kStreamGreeted));
        break;
      case kStreamGreeted:
        if (event->ok) life_line_.Read(&nothing_, Tag(kStreamRead));
        break;
      case kStreamRead:
        if (event->ok) Fail(BrokenProtocol("a frame in a session of calls"));
        over_ = true;
        break;
      case kStreamOver:
        over_ = true;
        break;
    }
    last_heard_ = now;
    return true;
  }

  void Fail(absl::Status status) {
    if (outcome_.ok()) outcome_ = std::move(status);
  }

  // Of a pong.
  uint64_t Value(MonotonicTime received_at) const {
    return PackPong((MonotonicNow() - received_at).count(), false, retransmits_);
  }

  void AnswerPing(MonotonicTime received_at) {
    if (ping_.request.nonce() != nonce_ || ping_.request.payload().size() > kMaxPingPayload)
      return Fail(absl::InvalidArgumentError("not a ping of this session"));
    ping_.reply.set_nonce(nonce_);
    ping_.reply.set_sequence(ping_.request.sequence());
    ping_.reply.mutable_payload()->swap(*ping_.request.mutable_payload());
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    ping_.reply.set_value(Value(received_at));
    ping_.writer->Finish(ping_.reply, grpc::Status::OK, Tag(kPingAnswered));
    retransmits_ = Retransmits(server_->fd());
  }

  void AnswerProbe(MonotonicTime received_at) {
    const v1::NetBandwidthProbeRequest& request = probe_.request;
    if (auto status = StreamsAreGranted(request_); !status.ok()) return RefuseProbe(status);
    if (request.first()) {
      const std::chrono::nanoseconds window(static_cast<int64_t>(request.window_ns() & INT64_MAX));
      stream_.emplace(StreamSpec{.window = window}, request_.max_stream_bytes(), end_);
    }
    if (request.nonce() != nonce_ || request.reply_bytes() > kMaxChunkBytes || !stream_)
      return RefuseProbe(absl::InvalidArgumentError("not a bandwidth probe of this session"));
    auto status = stream_->Announce(request.payload().size() + request.reply_bytes());
    if (status.ok() && !request.payload().empty()) status = stream_->Count(request.payload().size(), received_at);
    if (!status.ok()) return RefuseProbe(status);
    probe_.reply.set_nonce(nonce_);
    *probe_.reply.mutable_received() = ReportOf(stream_->Finish());
    if (probe_.reply.payload().size() != request.reply_bytes())
      probe_.reply.set_payload(std::string(request.reply_bytes(), '\0'));
    probe_.writer->Finish(probe_.reply, grpc::Status::OK, Tag(kProbeAnswered));
  }

  void RefuseProbe(const absl::Status& status) {  // gRPC's codes have the same numbers
    const grpc::Status refused(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
    probe_.writer->FinishWithError(refused, Tag(kProbeAnswered));
  }

  const v1::OpenSession request_;
  const uint64_t nonce_;
  const bool busy_poll_;
  const ServeLimits limits_;
  const MonotonicTime end_;
  const std::stop_token stop_;
  UnaryCall<v1::NetPingRequest, v1::NetPingReply> ping_;
  UnaryCall<v1::NetBandwidthProbeRequest, v1::NetBandwidthProbeReply> probe_;
  grpc::ServerContext life_line_context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> life_line_{&life_line_context_};
  grpc::ByteBuffer nothing_;
  std::optional<StreamReceiver> stream_;
  uint32_t retransmits_ = 0;  // after the last echo: not while a ping is timed
  bool over_ = false;
  absl::Status outcome_;
  MonotonicTime last_heard_ = MonotonicNow();
  const std::unique_ptr<SessionServer> server_;  // last: its end takes the events of what stands above
};

}  // namespace

absl::Status ServeUnary(DoorConnection connection, const ServeLimits& limits, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto server, SessionServer::Start(&connection));
  ShutdownOnStop guard(stop, connection.fd.get());
  UnaryResponder responder(connection, std::move(server), limits, stop);
  auto status = responder.Run();
  if (!status.ok()) ResetOnClose(connection.fd.get());
  return status;
}

}  // namespace netsense::grpc_backend
