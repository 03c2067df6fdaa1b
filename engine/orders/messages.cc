#include "engine/orders/messages.h"

#include <arpa/inet.h>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "transports/stream_meter.h"

namespace netsense {
namespace {

using std::chrono::nanoseconds;

constexpr uint32_t kMostStreams = 64;

v1::OrderTarget ToOrder(const MeasureTarget& target) {
  v1::OrderTarget order;
  order.set_address(target.host);
  order.set_port(target.port);
  order.set_source_address(target.from.address);
  order.set_source_netdev(target.from.netdev);
  order.set_transport(target.transport);
  order.set_wait_mode(target.wait_mode);
  *order.mutable_options() = target.options;
  return order;
}

bool IsNumeric(const std::string& address) {
  in6_addr parsed{};
  return inet_pton(AF_INET, address.c_str(), &parsed) == 1 || inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

absl::StatusOr<MeasureTarget> FromOrder(const v1::OrderTarget& order) {
  if (!IsNumeric(order.address()))
    return absl::InvalidArgumentError(
        absl::StrCat("the target of an order is a numeric address, not '", Printable(order.address()), "'"));
  if (order.port() < 1 || order.port() > 65535)
    return absl::InvalidArgumentError(absl::StrCat("no port ", order.port(), " can be measured"));
  MeasureTarget target;
  target.host = order.address();
  target.port = static_cast<uint16_t>(order.port());
  target.from = {order.source_address(), order.source_netdev()};
  target.transport = order.transport();
  target.wait_mode = order.wait_mode();
  target.options = order.options();
  return target;
}

// Of what is added to a moment: none that would go round.
constexpr auto kLongest = std::chrono::hours(24);

absl::StatusOr<nanoseconds> ReadTime(uint64_t ns) {
  if (ns > static_cast<uint64_t>(nanoseconds(kLongest).count()))
    return absl::InvalidArgumentError("an order of more than a day");
  return nanoseconds(static_cast<int64_t>(ns));
}

// One of the two is set; what the units are the caller knows.
absl::StatusOr<MeasureBounds> ReadBounds(uint64_t iterations, uint64_t duration_ns) {
  if ((iterations > 0) == (duration_ns > 0))
    return absl::InvalidArgumentError("an order is bounded by a number or by a duration");
  ASSIGN_OR_RETURN(auto duration, ReadTime(duration_ns));
  MeasureBounds bounds;
  if (iterations > 0) bounds.iterations = iterations;
  if (duration.count() > 0) bounds.duration = duration;
  return bounds;
}

uint64_t Count(nanoseconds time) { return static_cast<uint64_t>(std::max<int64_t>(time.count(), 0)); }

absl::Status Read(const v1::HistogramCounts& exported, Histogram* histogram) {
  ASSIGN_OR_RETURN(*histogram, Histogram::Import(exported));
  return absl::OkStatus();
}

v1::WayDetails ToWay(const SessionDetails& details) {
  v1::WayDetails way;
  way.set_mode(details.mode);
  way.set_device(details.device);
  return way;
}

v1::StreamDirection ToWire(Direction direction) {
  return direction == Direction::kToPeer ? v1::STREAM_DIRECTION_TO_PEER : v1::STREAM_DIRECTION_FROM_PEER;
}

absl::StatusOr<Direction> FromWire(v1::StreamDirection direction) {
  if (direction == v1::STREAM_DIRECTION_TO_PEER) return Direction::kToPeer;
  if (direction == v1::STREAM_DIRECTION_FROM_PEER) return Direction::kFromPeer;
  return absl::InvalidArgumentError("a stream without a direction");
}

}  // namespace

v1::PingOrder ToOrder(const PingRequest& request) {
  v1::PingOrder order;
  *order.mutable_target() = ToOrder(request.target);
  if (request.bounds.iterations) order.set_iterations(*request.bounds.iterations);
  if (request.bounds.duration) order.set_duration_ns(Count(*request.bounds.duration));
  order.set_payload_bytes(request.payload_bytes);
  order.set_warmup(request.warmup);
  order.set_interval_ns(Count(request.interval));
  order.set_timeout_ms(static_cast<uint32_t>(request.timeout.count()));
  return order;
}

v1::BandwidthOrder ToOrder(const BandwidthRequest& request) {
  v1::BandwidthOrder order;
  *order.mutable_target() = ToOrder(request.target);
  if (request.bounds.iterations) order.set_bytes(*request.bounds.iterations * request.payload_bytes);
  if (request.bounds.duration) order.set_duration_ns(Count(*request.bounds.duration));
  for (Direction direction : request.directions) order.add_directions(ToWire(direction));
  order.set_window_ns(Count(request.window));
  order.set_message_bytes(request.message_bytes);
  order.set_streams(request.streams);
  order.set_warmup_ns(Count(request.warmup));
  return order;
}

absl::StatusOr<PingRequest> FromOrder(const v1::PingOrder& order) {
  ASSIGN_OR_RETURN(auto target, FromOrder(order.target()));
  ASSIGN_OR_RETURN(auto bounds, ReadBounds(order.iterations(), order.duration_ns()));
  PingRequest request{.target = std::move(target), .bounds = bounds};
  request.payload_bytes = order.payload_bytes();
  request.warmup = order.warmup();
  ASSIGN_OR_RETURN(request.interval, ReadTime(order.interval_ns()));
  request.timeout = std::chrono::milliseconds(order.timeout_ms());
  return request;
}

absl::StatusOr<BandwidthRequest> FromOrder(const v1::BandwidthOrder& order) {
  ASSIGN_OR_RETURN(auto target, FromOrder(order.target()));
  ASSIGN_OR_RETURN(auto bounds, ReadBounds(order.bytes(), order.duration_ns()));
  BandwidthRequest request{.target = std::move(target), .bounds = bounds};
  if (request.bounds.iterations) {
    request.bounds.iterations = 1;
    request.payload_bytes = order.bytes();
  }
  request.directions.clear();
  for (int direction : order.directions()) {
    ASSIGN_OR_RETURN(auto read, FromWire(static_cast<v1::StreamDirection>(direction)));
    request.directions.push_back(read);
  }
  if (request.directions.empty() || request.directions.size() > 2)
    return absl::InvalidArgumentError("an order for a stream has one direction, or both");
  if (order.streams() > kMostStreams)
    return absl::InvalidArgumentError(absl::StrCat("an order has at most ", kMostStreams, " streams"));
  request.streams = std::max(order.streams(), 1u);
  request.message_bytes = order.message_bytes();
  ASSIGN_OR_RETURN(request.warmup, ReadTime(order.warmup_ns()));
  ASSIGN_OR_RETURN(auto window, ReadTime(order.window_ns()));
  if (window.count() > 0) request.window = window;
  return request;
}

v1::PingFigures ToFigures(const PingResult& result) {
  v1::PingFigures figures;
  *figures.mutable_rtt() = result.rtt.Export();
  *figures.mutable_network_rtt() = result.network_rtt.Export();
  *figures.mutable_responder_hold() = result.responder_hold.Export();
  *figures.mutable_host_delay() = result.host_delay.Export();
  figures.set_lost(result.lost);
  figures.set_elapsed_ns(result.elapsed.count());
  figures.set_source(result.source);
  *figures.mutable_binding() = result.binding;
  *figures.mutable_peer() = result.peer;
  *figures.mutable_details() = ToWay(result.details);
  figures.set_interrupted(result.interrupted);
  if (result.not_sent) figures.set_not_sent(*result.not_sent);
  if (result.retransmits) figures.set_retransmits(*result.retransmits);
  return figures;
}

absl::StatusOr<PingResult> FromFigures(const v1::PingFigures& figures) {
  PingResult result;
  for (auto [exported, histogram] :
       {std::pair(&figures.rtt(), &result.rtt), std::pair(&figures.network_rtt(), &result.network_rtt),
        std::pair(&figures.responder_hold(), &result.responder_hold),
        std::pair(&figures.host_delay(), &result.host_delay)})
    RETURN_IF_ERROR(Read(*exported, histogram));
  if (result.rtt.count() == 0 || result.network_rtt.count() != result.rtt.count())
    return absl::InvalidArgumentError("an answer without round trips");
  if (figures.elapsed_ns() < 0) return absl::InvalidArgumentError("an answer that took less than no time");
  result.lost = figures.lost();
  result.elapsed = nanoseconds(figures.elapsed_ns());
  result.source = figures.source();
  result.binding = figures.binding();
  result.peer = figures.peer();
  result.details = {figures.details().mode(), figures.details().device()};
  result.interrupted = figures.interrupted();
  if (figures.has_not_sent()) result.not_sent = figures.not_sent();
  if (figures.has_retransmits()) result.retransmits = figures.retransmits();
  return result;
}

v1::BandwidthFigures ToFigures(const BandwidthResult& result) {
  v1::BandwidthFigures figures;
  *figures.mutable_sample() = ReportOf(result.sample);
  for (const BandwidthResult::Stream& one : result.streams) {
    v1::BandwidthFigures::Stream* stream = figures.add_streams();
    stream->set_direction(ToWire(one.direction));
    *stream->mutable_sample() = ReportOf(one.sample);
  }
  *figures.mutable_binding() = result.binding;
  *figures.mutable_counters() = {result.counters.begin(), result.counters.end()};
  *figures.mutable_expected() = result.expected;
  *figures.mutable_peer() = result.peer;
  *figures.mutable_details() = ToWay(result.details);
  return figures;
}

absl::StatusOr<BandwidthResult> FromFigures(const v1::BandwidthFigures& figures) {
  BandwidthResult result;
  ASSIGN_OR_RETURN(auto total, SampleOf(figures.sample()));
  result.sample = total;
  for (const v1::BandwidthFigures::Stream& stream : figures.streams()) {
    ASSIGN_OR_RETURN(auto direction, FromWire(stream.direction()));
    ASSIGN_OR_RETURN(auto sample, SampleOf(stream.sample()));
    result.streams.push_back({direction, sample});
  }
  result.binding = figures.binding();
  result.counters = {figures.counters().begin(), figures.counters().end()};
  result.expected = figures.expected();
  result.peer = figures.peer();
  result.details = {figures.details().mode(), figures.details().device()};
  return result;
}

}  // namespace netsense
