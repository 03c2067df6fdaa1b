#include "engine/orders/serving.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>

#include <limits>
#include <optional>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/broken_protocol.h"
#include "base/handshake/frame_seal.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "engine/local_ports.h"
#include "engine/orders/messages.h"

namespace netsense {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kMaxTimeoutMs = 60'000;
// Of a node with limits: what orders may send past its gate.
constexpr uint32_t kMostPingBytes = 8192;
constexpr uint64_t kMostWarmUp = 1000;
constexpr std::chrono::nanoseconds kShortestInterval = std::chrono::milliseconds(1);

// While alive: its token is stopped when the coordinator closes the connection, when the time is up, or by `outer`.
class OrderWatch {
 public:
  // `over` is an eventfd.
  OrderWatch(UniqueFd over, int connection, MonotonicTime deadline, const std::stop_token& outer)
      : over_(std::move(over)),
        on_outer_(outer, [this] { source_.request_stop(); }),
        thread_([this, connection, deadline] { Watch(connection, deadline); }) {}
  ~OrderWatch() {
    eventfd_write(over_.get(), 1);
    thread_.join();
  }
  std::stop_token token() const { return source_.get_token(); }

 private:
  void Watch(int connection, MonotonicTime deadline) {
    while (true) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicNow()).count();
      pollfd wait[] = {{over_.get(), POLLIN, 0}, {connection, POLLRDHUP, 0}};
      int ready = left > 0 ? poll(wait, 2, static_cast<int>(std::min<int64_t>(left, 60'000))) : 0;
      if (ready > 0 && wait[0].revents != 0) return;
      if (left <= 0 || (ready > 0 && wait[1].revents != 0)) {
        source_.request_stop();
        return;
      }
    }
  }

  std::stop_source source_;
  UniqueFd over_;
  std::stop_callback<std::function<void()>> on_outer_;
  std::thread thread_;
};

class OrderServer {
 public:
  OrderServer(int connection, const TransportRegistry& transports, PortGate* gate, const OrderLimits& limits)
      : connection_(connection), transports_(transports), gate_(gate), limits_(limits) {}

  absl::Status Run(const v1::Order& order, const std::stop_token& stop, v1::OrderAnswer* answer) {
    switch (order.kind_case()) {
      case v1::Order::kDescribe:
        Describe(answer->mutable_describe());
        return absl::OkStatus();
      case v1::Order::kPing:
        return Ping(order.ping(), stop, answer->mutable_ping());
      case v1::Order::kBandwidth:
        return Bandwidth(order.bandwidth(), stop, answer->mutable_bandwidth());
      case v1::Order::KIND_NOT_SET:
        return absl::OkStatus();
    }
    return absl::UnimplementedError("this node does not know that order");
  }

 private:
  void Describe(v1::NodeDescription* node) const {
    utsname system{};
    uname(&system);
    node->set_hostname(ToUtf8(system.nodename));
    node->set_kernel(system.release);
    node->set_software_version(NETSENSE_VERSION);
    if (v1::Port port = PortOfAddress(LocalAddress(connection_)); !port.name().empty())
      *node->add_ports() = std::move(port);
    for (v1::TransportInfo& transport : transports_.Describe()) *node->add_transports() = std::move(transport);
    node->set_max_stream_bytes(limits_.max_stream_bytes);
  }

  // What every request gets from this node, whoever asked.
  absl::Status Prepare(MeasureTarget* target) const {
    if (target->wait_mode == v1::WAIT_MODE_BUSY_POLL && !limits_.allow_busy_poll)
      return absl::PermissionDeniedError("this engine does not spin while it waits: ask for a blocking measurement");
    target->token = limits_.token;
    target->pinning.enabled = limits_.pinning != nullptr;
    return absl::OkStatus();
  }

  absl::Status Ping(const v1::PingOrder& order, const std::stop_token& stop, v1::PingFigures* figures) const {
    ASSIGN_OR_RETURN(auto request, FromOrder(order));
    if (order.timeout_ms() < 1 || order.timeout_ms() > kMaxTimeoutMs)
      return absl::InvalidArgumentError(absl::StrCat("a ping is waited for 1 to ", kMaxTimeoutMs, " ms"));
    RETURN_IF_ERROR(Prepare(&request.target));
    if (Limited()) {
      if (request.payload_bytes > kMostPingBytes || request.warmup > kMostWarmUp)
        return absl::ResourceExhaustedError(absl::StrCat("this engine sends pings of at most ", kMostPingBytes,
                                                         " bytes and warms up with at most ", kMostWarmUp));
      request.interval = std::max(request.interval, kShortestInterval);
    }
    auto result = MeasurePing(
        transports_, request, [](double) {}, stop);
    if (!result.ok()) return result.status();
    if (!result->failure.ok()) return result->failure;  // the coordinator takes a pair's pings whole, or their error
    *figures = ToFigures(*result);
    return absl::OkStatus();
  }

  absl::Status Bandwidth(const v1::BandwidthOrder& order, const std::stop_token& stop,
                         v1::BandwidthFigures* figures) const {
    ASSIGN_OR_RETURN(auto request, FromOrder(order));
    RETURN_IF_ERROR(Prepare(&request.target));
    if (Limited() && (order.bytes() == 0 || order.bytes() > limits_.max_stream_bytes || order.warmup_ns() > 0))
      return absl::ResourceExhaustedError(absl::StrCat("this engine sends at most ", limits_.max_stream_bytes,
                                                       " bytes in one stream, and does not warm up"));
    ASSIGN_OR_RETURN(auto port, LeavesBy(request.target));
    const uint64_t sessions = request.directions.size() * request.streams;
    if (order.bytes() > kNoLimit / sessions) return absl::InvalidArgumentError("an order of too many bytes");
    ASSIGN_OR_RETURN([[maybe_unused]] const auto pass,
                     gate_->TryEnter(port.name(), port.speed_bps(), order.bytes() * sessions));
    ASSIGN_OR_RETURN(auto result, MeasureBandwidth(transports_, request, stop));
    *figures = ToFigures(result);
    return absl::OkStatus();
  }

  bool Limited() const { return limits_.max_stream_bytes != kNoLimit; }

  static absl::StatusOr<v1::Port> LeavesBy(const MeasureTarget& target) {
    if (!target.from.netdev.empty()) return Known(PortNamed(target.from.netdev), target.from.netdev);
    if (!target.from.address.empty()) return Known(PortOfAddress(target.from.address), target.from.address);
    ASSIGN_OR_RETURN(auto source, SourceAddressTowards(target.host));
    return PortOfAddress(source);
  }

  static absl::StatusOr<v1::Port> Known(v1::Port port, const std::string& wanted) {
    if (port.name().empty())
      return absl::InvalidArgumentError(absl::StrCat("this node has no port ", Printable(wanted)));
    return port;
  }

  const int connection_;
  const TransportRegistry& transports_;
  PortGate* const gate_;
  const OrderLimits limits_;
};

}  // namespace

absl::Status ServeOrders(UniqueFd connection, FrameSeal seal, const TransportRegistry& transports, PortGate* gate,
                         const OrderLimits& limits, const std::stop_token& stop) {
  ShutdownOnStop shutdown(stop, connection.get());
  OrderServer orders(connection.get(), transports, gate, limits);
  while (true) {
    v1::Order order;
    if (auto status =
            ReadSealed(connection.get(), &order, SealedBy::kProber, &seal, MonotonicNow() + limits.idle, stop);
        !status.ok()) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      return PeerLeft(status) ? absl::OkStatus() : status;
    }
    v1::OrderAnswer answer;
    absl::Status outcome;
    try {
      UniqueFd over(eventfd(0, EFD_CLOEXEC));
      if (over.get() < 0) throw std::system_error(errno, std::generic_category());
      OrderWatch watch(std::move(over), connection.get(), MonotonicNow() + limits.max_order, stop);
      outcome = orders.Run(order, watch.token(), &answer);
    } catch (const std::system_error& error) {  // no thread, no descriptor left
      outcome =
          absl::ResourceExhaustedError(absl::StrCat("this node has nothing left to measure with: ", error.what()));
    }
    if (limits.pinning != nullptr) limits.pinning->Apply({});
    if (!outcome.ok()) answer.clear_kind();
    answer.set_code(static_cast<int32_t>(outcome.code()));
    answer.set_message(std::string(outcome.message()));
    auto sent = WriteSealed(connection.get(), answer, SealedBy::kResponder, &seal,
                            MonotonicNow() + deadlines::kOrderAnswer(), stop);
    if (absl::IsResourceExhausted(sent)) {
      answer.Clear();
      answer.set_code(static_cast<int32_t>(absl::StatusCode::kResourceExhausted));
      answer.set_message("the figures do not fit into one answer: ask for fewer pings");
      sent = WriteSealed(connection.get(), answer, SealedBy::kResponder, &seal,
                         MonotonicNow() + deadlines::kOrderAnswer(), stop);
    }
    if (!sent.ok()) return absl::IsUnavailable(sent) ? absl::OkStatus() : sent;
  }
}

}  // namespace netsense
