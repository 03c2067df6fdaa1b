#include <ucp/api/ucp.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "transports/socket.h"
#include "transports/stream_meter.h"
#include "transports/ucx/context.h"
#include "transports/ucx/device.h"
#include "transports/ucx/endpoint.h"
#include "transports/ucx/factory.h"

namespace netsense {
namespace ucx {
namespace {

// What a session does without a wish: the device of its address, the network and no shared memory.
constexpr char kNetworkOnly[] = "^shm";

ContextChoice ChoiceOf(const DoorConnection& connection, bool prober, bool busy_poll) {
  const v1::TransportOptions& options = connection.request.options();
  ContextChoice choice;
  choice.net_devices = prober ? options.device() : options.peer_device();
  if (choice.net_devices.empty() && getenv("UCX_NET_DEVICES") == nullptr)
    choice.net_devices = NetDevicesOf(LocalAddress(connection.fd.get()));
  choice.tls = options.ucx_tls();
  if (choice.tls.empty() && getenv("UCX_TLS") == nullptr) choice.tls = kNetworkOnly;
  choice.max_rndv_rails = std::max(options.ucx_max_rndv_rails(), 1u);
  choice.wakeup = !busy_poll;
  return choice;
}

absl::Status SendFrame(Endpoint& endpoint, FrameHeader header, const google::protobuf::MessageLite* payload,
                       MonotonicTime deadline, const std::stop_token& stop) {
  auto frame = endpoint.Acquire(deadline, stop);
  if (!frame.ok()) return frame.status();
  (*frame)->payload.clear();
  if (payload != nullptr) {
    const std::string bytes = payload->SerializeAsString();
    (*frame)->payload.assign(bytes.begin(), bytes.end());
  }
  header.payload_bytes = static_cast<uint32_t>((*frame)->payload.size());
  EncodeHeader(header, (*frame)->header.data());
  return endpoint.Post(*frame);
}

// UCX connects at the first message: that one is not for measuring.
absl::Status ExchangeReady(Endpoint& endpoint, uint64_t nonce, MonotonicTime deadline, const std::stop_token& stop) {
  auto status = SendFrame(endpoint, {.kind = FrameKind::kReady, .nonce = nonce}, nullptr, deadline, stop);
  if (!status.ok()) return status;
  auto frame = endpoint.Receive(deadline, stop);
  if (!frame.ok()) return frame.status();
  if (frame->header.kind != FrameKind::kReady || frame->header.nonce != nonce)
    return absl::InvalidArgumentError("a frame that is not of this session");
  return endpoint.Flush(deadline, stop);
}

absl::Status SendStream(Endpoint& endpoint, uint64_t nonce, const StreamSpec& spec, uint64_t max_bytes,
                        MonotonicTime deadline, const std::stop_token& stop) {
  static const std::vector<uint8_t> kData(kChunkBytes);
  auto [left, end] = BoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec.bytes, kChunkBytes);
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = nonce};
  for (; left > 0 && MonotonicNow() < end; ++header.sequence) {
    auto frame = endpoint.Acquire(deadline, stop);
    if (!frame.ok()) return frame.status();
    header.payload_bytes = static_cast<uint32_t>(std::min<uint64_t>(left, message_bytes));
    EncodeHeader(header, (*frame)->header.data());
    (*frame)->data = kData.data();
    (*frame)->data_bytes = header.payload_bytes;
    if (auto status = endpoint.Post(*frame); !status.ok()) return status;
    left -= header.payload_bytes;
  }
  header.kind = FrameKind::kStreamEnd;
  if (auto status = SendFrame(endpoint, header, nullptr, deadline, stop); !status.ok()) return status;
  return endpoint.Flush(deadline, stop);
}

absl::StatusOr<StreamSample> ReceiveStream(Endpoint& endpoint, uint64_t nonce, std::chrono::nanoseconds window,
                                           uint64_t max_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  StreamMeter meter(window);
  while (true) {
    auto frame = endpoint.Receive(deadline, stop);
    if (!frame.ok()) return frame.status();
    if (frame->header.nonce != nonce) return absl::InvalidArgumentError("a frame that is not of this session");
    if (frame->header.kind == FrameKind::kStreamEnd) return meter.Finish();
    if (frame->header.kind != FrameKind::kChunk)
      return absl::InvalidArgumentError("a frame that does not belong into a stream");
    if (frame->header.payload_bytes > max_bytes - meter.bytes())
      return absl::ResourceExhaustedError("the stream is longer than the session was granted");
    meter.Add(frame->header.payload_bytes, frame->received_at);
    if (frame->received_at >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
  }
}

class UcxSession final : public Session {
 public:
  static absl::StatusOr<std::unique_ptr<Session>> Open(DoorConnection connection, MonotonicTime deadline,
                                                       std::stop_token stop) {
    const bool busy_poll = connection.request.wait_mode() == v1::WAIT_MODE_BUSY_POLL;
    auto context = Context::Get(ChoiceOf(connection, true, busy_poll));
    if (!context.ok()) return context.status();
    std::unique_ptr<UcxSession> session(new UcxSession(std::move(connection)));
    ShutdownOnStop guard(stop, session->door_.get());
    auto endpoint = Endpoint::Connect(*std::move(context), session->door_.get(), busy_poll, deadline, stop);
    if (!endpoint.ok()) return endpoint.status();
    session->endpoint_ = *std::move(endpoint);
    if (auto ready = ExchangeReady(*session->endpoint_, session->grant_.session_nonce(), deadline, stop); !ready.ok())
      return ready;
    session->device_ = session->endpoint_->Lane();
    return session;
  }

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (spec.payload_bytes > kMaxPingPayload)
      return absl::InvalidArgumentError(absl::StrCat("ucx pings carry at most ", kMaxPingPayload, " bytes"));
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, door_.get());
    auto sample = RunPing(spec, deadline, stop);
    if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) broken_ = true;
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (auto status = CheckStreamSpec(spec, max_stream_bytes_); !status.ok()) return status;
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, door_.get());
    auto sample = RunStream(spec, deadline, stop);
    if (!sample.ok()) broken_ = true;
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return {.mode = "am", .device = device_}; }

 private:
  explicit UcxSession(DoorConnection connection)
      : grant_(std::move(connection.grant)),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        door_(std::move(connection.fd)) {}

  absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    auto frame = endpoint_->Acquire(deadline, stop);
    if (!frame.ok()) return frame.status();
    EncodePing(grant_.session_nonce(), ++sequence_, spec.payload_bytes, &message_);
    std::copy_n(message_.begin(), kHeaderBytes, (*frame)->header.begin());
    (*frame)->payload.assign(message_.begin() + kHeaderBytes, message_.end());

    MonotonicTime sent_at = MonotonicNow();
    if (auto status = endpoint_->Post(*frame); !status.ok()) return status;
    absl::StatusOr<Endpoint::Incoming> echo;
    do {
      echo = endpoint_->Receive(deadline, stop);
      if (!echo.ok()) return echo.status();
      // A late echo of a ping that was given up has another sequence number: it is dropped.
    } while (echo->header.kind == FrameKind::kPong && echo->header.sequence != sequence_);
    if (echo->header.kind != FrameKind::kPong || echo->header.nonce != grant_.session_nonce() ||
        !EchoesPing(message_, echo->payload))
      return absl::DataLossError("the echo differs from what was sent");
    RttSample sample;
    sample.rtt = echo->received_at - sent_at;
    sample.responder_hold = std::chrono::nanoseconds(static_cast<int64_t>(echo->header.value & INT64_MAX));
    return sample;
  }

  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    const v1::StreamOrder order = OrderOf(spec);
    const uint64_t nonce = grant_.session_nonce();
    FrameHeader header{.kind = FrameKind::kStreamOrder, .nonce = nonce, .sequence = ++sequence_};
    if (auto status = SendFrame(*endpoint_, header, &order, deadline, stop); !status.ok()) return status;
    if (spec.direction == Direction::kFromPeer)
      return ReceiveStream(*endpoint_, nonce, spec.window, max_stream_bytes_, deadline, stop);
    auto status = SendStream(*endpoint_, nonce, spec, max_stream_bytes_, deadline, stop);
    if (!status.ok()) return status;
    auto frame = endpoint_->Receive(deadline, stop);
    if (!frame.ok()) return frame.status();
    v1::StreamReport report;
    if (frame->header.kind != FrameKind::kStreamReport || !ParsePayload(frame->payload, &report))
      return absl::DataLossError("the peer sent something else than its count");
    return SampleOf(report);
  }

  const v1::SessionReply::Grant grant_;
  const uint64_t max_stream_bytes_;
  const UniqueFd door_;
  std::unique_ptr<Endpoint> endpoint_;
  std::string device_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  bool broken_ = false;
};

class UcxResponder {
 public:
  UcxResponder(DoorConnection connection, const ServeLimits& limits, std::stop_token stop)
      : connection_(std::move(connection)),
        limits_(limits),
        end_(MonotonicNow() + limits.total),
        stop_(std::move(stop)),
        nonce_(connection_.grant.session_nonce()) {}

  absl::Status Run() {
    ShutdownOnStop guard(stop_, connection_.fd.get());
    const bool busy_poll = connection_.grant.wait_mode() == v1::WAIT_MODE_BUSY_POLL;
    auto context = Context::Get(ChoiceOf(connection_, false, busy_poll));
    if (!context.ok()) return context.status();
    auto endpoint = Endpoint::Connect(*std::move(context), connection_.fd.get(), busy_poll, Deadline(), stop_);
    if (!endpoint.ok()) return endpoint.status();
    endpoint_ = *std::move(endpoint);
    if (auto ready = ExchangeReady(*endpoint_, nonce_, Deadline(), stop_); !ready.ok()) return ready;
    while (true) {
      auto frame = endpoint_->Receive(Deadline(), stop_);
      if (absl::IsUnavailable(frame.status())) return absl::OkStatus();  // the prober left
      if (!frame.ok()) return frame.status();
      if (auto status = Answer(*frame); !status.ok()) return status;
    }
  }

 private:
  MonotonicTime Deadline() const { return std::min(end_, MonotonicNow() + limits_.idle); }

  absl::Status Answer(Endpoint::Incoming& frame) {
    if (frame.header.nonce != nonce_) return absl::InvalidArgumentError("a frame that is not of this session");
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

  absl::Status Echo(Endpoint::Incoming& ping) {
    auto frame = endpoint_->Acquire(Deadline(), stop_);
    if (!frame.ok()) return frame.status();
    if (limits_.hold_pings.count() > 0) std::this_thread::sleep_for(limits_.hold_pings);
    (*frame)->payload.swap(ping.payload);
    ping.header.kind = FrameKind::kPong;
    ping.header.value = static_cast<uint64_t>((MonotonicNow() - ping.received_at).count());
    EncodeHeader(ping.header, (*frame)->header.data());
    return endpoint_->Post(*frame);
  }

  absl::Status RunStream(const Endpoint::Incoming& frame) {
    v1::StreamOrder order;
    if (!ParsePayload(frame.payload, &order)) return absl::InvalidArgumentError("a stream order that cannot be read");
    auto spec = SpecOf(order);
    if (!spec.ok()) return spec.status();
    const uint64_t max_bytes = connection_.request.max_stream_bytes();
    if (spec->direction == Direction::kFromPeer) return SendStream(*endpoint_, nonce_, *spec, max_bytes, end_, stop_);
    auto sample = ReceiveStream(*endpoint_, nonce_, spec->window, max_bytes, end_, stop_);
    if (!sample.ok()) return sample.status();
    const v1::StreamReport report = ReportOf(*sample);
    FrameHeader header{.kind = FrameKind::kStreamReport, .nonce = nonce_, .sequence = frame.header.sequence};
    if (auto status = SendFrame(*endpoint_, header, &report, end_, stop_); !status.ok()) return status;
    return endpoint_->Flush(end_, stop_);
  }

  const DoorConnection connection_;
  const ServeLimits limits_;
  const MonotonicTime end_;
  const std::stop_token stop_;
  const uint64_t nonce_;
  std::unique_ptr<Endpoint> endpoint_;
};

class UcxTransport final : public Transport {
 public:
  std::string_view name() const override { return "ucx"; }
  Capabilities capabilities() const override { return UcxCapabilities(); }

  absl::Status availability() const override {
    auto context = Context::Get({.net_devices = "", .tls = kNetworkOnly});
    return context.ok() ? absl::OkStatus() : absl::UnavailableError(context.status().message());
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    auto status = CheckOptions(connection.request.options(), name(), capabilities(), {.device = true, .ucx = true});
    if (!status.ok()) return status;
    return UcxSession::Open(std::move(connection), deadline, std::move(stop));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    return UcxResponder(std::move(connection), limits, std::move(stop)).Run();
  }
};

}  // namespace
}  // namespace ucx

std::unique_ptr<Transport> MakeUcxTransport() { return std::make_unique<ucx::UcxTransport>(); }

}  // namespace netsense
