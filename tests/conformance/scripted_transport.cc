#include "tests/conformance/scripted_transport.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <latch>
#include <utility>

#include "base/deadlines.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "tests/conformance/scripted_wire.h"

namespace netsense::conformance {
namespace {

constexpr char kName[] = "scripted";
constexpr char kMode[] = "plain";
constexpr uint32_t kMaxPingPayload = 8192;
constexpr uint32_t kMaxMessage = 1 << 20;
// Far past what a test allows, by the same scale.
constexpr Deadline kOverstay{std::chrono::seconds(4)};
constexpr Deadline kSlow{std::chrono::milliseconds(20)};
constexpr int kLosesEach = 50;

bool Has(const char* defect) {
  const char* told = std::getenv("NETSENSE_CONFORMANCE_DEFECT");
  return told != nullptr && std::string(told) == defect;
}

void NeverReturn() { std::latch(1).wait(); }

class ScriptedSession final : public Session {
 public:
  explicit ScriptedSession(DoorConnection connection)
      : grant_(std::move(connection.grant)),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        wire_(std::move(connection.fd), grant_.session_nonce()) {}

  ~ScriptedSession() override {
    if (Has("deadlock_at_the_end")) NeverReturn();
    if (Has("leaks")) leaked_ = open("/dev/null", O_RDONLY);
    if (Has("lingers")) leaked_ = dup(wire_.fd.get());
  }

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (spec.payload_bytes > kMaxPingPayload) return absl::InvalidArgumentError("a ping that is too large");
    if (over_) return absl::UnavailableError("the session is over");
    Misbehave(&deadline, &stop);
    EncodePing(wire_.nonce, ++sequence_, spec.payload_bytes, &message_);
    WireFrame pong;
    const MonotonicTime sent_at = MonotonicNow();
    if (auto status = wire_.Send(message_, deadline, stop); !status.ok()) return Over(status);
    do {
      auto status = wire_.Receive(&pong, deadline, stop);
      if (absl::IsDeadlineExceeded(status)) return status;
      if (!status.ok()) return Over(status);
    } while (pong.header.sequence != sequence_ && !Has("believes_any_echo"));
    if (pong.header.kind != FrameKind::kPong || (!EchoesPing(message_, pong.payload) && !Has("believes_any_echo")))
      return Over(absl::DataLossError("the echo differs from what was sent"));
    RttSample sample;
    sample.rtt = pong.received_at - sent_at;
    sample.responder_hold = nanoseconds(static_cast<int64_t>(pong.header.value));
    if (Has("half_rtt")) sample.rtt /= 2;
    if (Has("hides_hold")) sample.responder_hold = nanoseconds{};
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    RETURN_IF_ERROR(CheckStreamSpec(spec, max_stream_bytes_, kMaxMessage));
    if (over_) return absl::UnavailableError("the session is over");
    Misbehave(&deadline, &stop);
    auto sample = RunStream(spec, deadline, stop);
    if (!sample.ok()) return Over(sample.status());
    if (Has("miscounts")) ++sample->bytes;
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return {.mode = kMode, .device = ""}; }

 private:
  using nanoseconds = std::chrono::nanoseconds;

  static void Misbehave(MonotonicTime* deadline, std::stop_token* stop) {
    if (Has("overstays")) *deadline += kOverstay();
    if (Has("deaf")) *stop = {};
    if (Has("deadlock")) NeverReturn();
  }

  absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline, const std::stop_token& stop) {
    ComposeMessage(FrameKind::kStreamOrder, wire_.nonce, ++sequence_, OrderOf(spec), &message_);
    RETURN_IF_ERROR(wire_.Send(message_, deadline, stop));
    if (spec.direction == Direction::kFromPeer) return wire_.ReceiveStream(spec, deadline, stop);
    ASSIGN_OR_RETURN(const auto sent, wire_.SendStream(spec, max_stream_bytes_, deadline, stop));
    WireFrame frame;
    do {
      RETURN_IF_ERROR(wire_.Receive(&frame, deadline, stop));
    } while (frame.header.kind == FrameKind::kPong);  // of a ping that was given up
    v1::StreamReport report;
    if (frame.header.kind != FrameKind::kStreamReport || !ParsePayload(frame.payload, &report))
      return absl::DataLossError("not the peer's count");
    auto sample = SampleOf(report);
    if (sample.ok()) sample->sent = sent;
    return sample;
  }

  absl::Status Over(absl::Status status) {
    over_ = true;
    return status;
  }

  const v1::SessionReply::Grant grant_;
  const uint64_t max_stream_bytes_;
  ScriptedWire wire_;
  std::vector<uint8_t> message_;
  uint64_t sequence_ = 0;
  bool over_ = false;
  int leaked_ = -1;
};

class ScriptedResponder {
 public:
  ScriptedResponder(DoorConnection connection, const ServeLimits& limits, std::stop_token stop, std::string fault)
      : limits_(limits),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        stop_(std::move(stop)),
        wire_(std::move(connection.fd), connection.grant.session_nonce()),
        fault_(std::move(fault)) {}

  absl::Status Run() {
    const MonotonicTime end = MonotonicNow() + limits_.total;
    WireFrame frame;
    while (true) {
      auto status = wire_.Receive(&frame, std::min(end, MonotonicNow() + limits_.idle), stop_);
      if (absl::IsUnavailable(status)) return absl::OkStatus();  // the prober left
      if (status.ok()) status = frame.header.kind == FrameKind::kPing ? Answer(frame) : RunStream(frame, end);
      if (!status.ok()) return status;
    }
  }

 private:
  absl::Status Answer(WireFrame& ping) {
    const std::string fault = std::exchange(fault_, "");
    if (fault == "lose" || (Has("loses_a_ping") && ++answered_ % kLosesEach == 0)) return absl::OkStatus();
    if (Has("slow_peer")) {
      SleepUnlessStopped(stop_, kSlow());
      ping.received_at = MonotonicNow();
    }
    if (fault == "late") {
      late_ = ping;
      return absl::OkStatus();
    }
    if (fault == "corrupt") ping.payload[ping.payload.size() / 2] ^= 1;
    if (fault == "reset") {
      const linger hard{1, 0};
      setsockopt(wire_.fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
      return absl::InternalError("told to reset");
    }
    if (fault == "delay") {
      SleepUnlessStopped(stop_, kSilentDelay);
      ping.received_at = MonotonicNow();
    }
    if (auto late = std::exchange(late_, {}); late.header.kind == FrameKind::kPing) {
      RETURN_IF_ERROR(Echo(late));
    }
    return Echo(ping);
  }

  absl::Status Echo(const WireFrame& ping) {
    if (limits_.hold_pings.count() > 0) SleepUnlessStopped(stop_, limits_.hold_pings);
    FrameHeader header = ping.header;
    header.kind = FrameKind::kPong;
    header.value = static_cast<uint64_t>((MonotonicNow() - ping.received_at).count());
    ComposeFrame(header, ping.payload, &reply_);
    return wire_.Send(reply_, MonotonicNow() + limits_.idle, stop_);
  }

  absl::Status RunStream(const WireFrame& frame, MonotonicTime end) {
    v1::StreamOrder order;
    if (!ParsePayload(frame.payload, &order)) return absl::InvalidArgumentError("not a stream order");
    ASSIGN_OR_RETURN(auto spec, SpecOf(order));
    if (spec.direction == Direction::kFromPeer) return wire_.SendStream(spec, max_stream_bytes_, end, stop_).status();
    ASSIGN_OR_RETURN(auto sample, wire_.ReceiveStream(spec, end, stop_));
    ComposeMessage(FrameKind::kStreamReport, wire_.nonce, frame.header.sequence, ReportOf(sample), &reply_);
    return wire_.Send(reply_, end, stop_);
  }

  const ServeLimits limits_;
  const uint64_t max_stream_bytes_;
  const std::stop_token stop_;
  ScriptedWire wire_;
  std::string fault_;
  int answered_ = 0;
  WireFrame late_;
  std::vector<uint8_t> reply_;
};

class ScriptedTransport final : public Transport {
 public:
  explicit ScriptedTransport(std::string fault) : fault_(std::move(fault)) {}

  std::string_view name() const override { return kName; }
  Capabilities capabilities() const override {
    return {.ping = true,
            .stream_to_peer = true,
            .stream_from_peer = true,
            .responder_hold = true,
            .max_ping_payload_bytes = kMaxPingPayload,
            .max_message_bytes = kMaxMessage,
            .modes = {kMode}};
  }
  absl::Status availability() const override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime, std::stop_token) override {
    return std::make_unique<ScriptedSession>(std::move(connection));
  }
  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    return ScriptedResponder(std::move(connection), limits, std::move(stop), fault_).Run();
  }

 private:
  const std::string fault_;
};

}  // namespace

std::unique_ptr<Transport> MakeScriptedTransport(const std::string& fault) {
  return std::make_unique<ScriptedTransport>(fault);
}

}  // namespace netsense::conformance
