#include "bench/rows.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cmath>
#include <optional>

#include "base/host_port.h"
#include "bench/result_file.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

double Micros(double ns) { return ns / 1e3; }
double Gbps(double bps) { return bps / 1e9; }

nlohmann::json DistributionJson(const Histogram& histogram) {
  if (histogram.count() == 0) return nullptr;
  v1::Distribution d = histogram.Summarize();
  const Histogram::Interval median = histogram.MedianInterval();
  auto us = [](auto ns) { return Micros(static_cast<double>(ns)); };
  nlohmann::json percentiles = nlohmann::json::array({{0, us(d.min_ns())}});
  for (double p : {1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 99.999})
    if (p <= 50 || static_cast<double>(histogram.count()) * (100 - p) / 100 >= 1)  // else it would be the maximum
      percentiles.push_back({p, us(histogram.Quantile(p / 100))});
  percentiles.push_back({100, us(d.max_ns())});
  return {{"min", us(d.min_ns())},
          {"p50", us(d.p50_ns())},
          {"p90", us(d.p90_ns())},
          {"p99", us(d.p99_ns())},
          {"p99_9", us(d.p999_ns())},
          {"max", us(d.max_ns())},
          {"mean", us(d.mean_ns())},
          {"stdev", us(d.stdev_ns())},
          {"p50_ci95", {us(median.low), us(median.high)}},
          {"percentiles", std::move(percentiles)}};
}

// Also where there is none.
std::string ClockName(v1::TimestampSource source) {
  const std::string name = TimestampSourceName(source);
  return name.empty() ? "none" : name;
}

const char* DirectionName(Direction direction) { return direction == Direction::kToPeer ? "to_peer" : "from_peer"; }

const char* DirectionName(const BandwidthRequest& request) {
  return request.directions.size() > 1 ? "both" : DirectionName(request.directions.front());
}

// What every row says of itself first.
nlohmann::json Identity(const char* kind, const MeasureTarget& target, const SessionDetails& details) {
  return {{"kind", kind},
          {"source", HostName()},
          {"target", FormatHostPort(target.host, target.port)},
          {"transport", target.transport},
          {"mode", details.mode.empty() ? target.options.mode() : details.mode},
          {"device", details.device.empty() ? target.options.device() : details.device}};
}

// What -s asked for, where it is more than a message of the transport has; else null: message_bytes says it.
nlohmann::json IterationBytes(const BandwidthRequest& request) {
  const bool in_messages = request.message_bytes != 0 && request.message_bytes < request.payload_bytes;
  return in_messages ? nlohmann::json(request.payload_bytes) : nlohmann::json();
}

nlohmann::json BandwidthFigures(const StreamSample& sample) {
  const auto bps = sample.bps();
  if (!bps) return {{"avg", nullptr}, {"min_window", nullptr}, {"max_window", nullptr}};
  return {
      {"avg", Gbps(*bps)}, {"min_window", Gbps(sample.min_window_bps)}, {"max_window", Gbps(sample.max_window_bps)}};
}

nlohmann::json ErrorJson(const absl::Status& status) {
  return {{"code", absl::StatusCodeToString(status.code())}, {"message", std::string(status.message())}};
}

nlohmann::json PeerJson(const v1::SessionReply::Grant& peer) {
  return {{"node_id", peer.node_id()}, {"version", peer.software_version()}, {"port", peer.port()}};
}

nlohmann::json BindingJson(const v1::Binding& binding) {
  return {{"cpus", binding.cpus()},
          {"memory_node", binding.has_memory_node() ? nlohmann::json(binding.memory_node()) : nlohmann::json(nullptr)},
          {"reason", binding.reason()}};
}

nlohmann::json BindingsJson(const v1::Binding& prober, const v1::Binding& responder) {
  return {{"prober", BindingJson(prober)}, {"responder", BindingJson(responder)}};
}

nlohmann::json CountersJson(const std::vector<v1::CounterDelta>& counters) {
  nlohmann::json list = nlohmann::json::array();
  for (const v1::CounterDelta& counter : counters)
    list.push_back(
        {{"name", counter.name()}, {"delta", counter.delta()}, {"severity", SeverityName(counter.severity())}});
  return list;
}

// Percent of what the path could carry; nothing where either is not known.
std::optional<double> PercentOf(const StreamSample& sample, const v1::ExpectedBandwidth& expected) {
  const auto bps = sample.bps();
  return bps && expected.bps() > 0 ? std::optional(100 * *bps / expected.bps()) : std::nullopt;
}

template <typename T>
nlohmann::json OrNull(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

// Why a stream has no bandwidth, for people.
std::string WhyUntimed(const StreamSample& sample) {
  if (sample.buffered)
    return "all of it came out of buffers, faster than a port carries: too short a stream to be timed";
  return fmt::format(
      "{} bytes in {} receipts and {:.1f} us: too short a stream to be timed (from {} receipts and {} us "
      "on it is); measure by duration (-D), or more of it",
      sample.bytes, sample.receipts, Micros(static_cast<double>(sample.elapsed.count())), kFewestReceipts,
      kShortestTimed.count());
}

nlohmann::json ExpectedJson(const StreamSample& sample, const v1::ExpectedBandwidth& expected) {
  if (expected.bps() <= 0)
    return {{"gbps", nullptr}, {"percent", nullptr}, {"limit", ""}, {"reason", expected.reason()}};
  return {{"gbps", Gbps(expected.bps())},
          {"percent", OrNull(PercentOf(sample, expected))},
          {"limit", expected.limit()},
          {"reason", ""}};
}

// "grpc (stream)", "verbs (write, rxe0:1 gid 1)"
std::string WayName(const std::string& transport, const SessionDetails& details) {
  return fmt::format("{} ({}{}{})", transport, details.mode, details.device.empty() ? "" : ", ", details.device);
}

std::string DistributionRow(const char* name, const PingRequest& request, const Histogram& histogram) {
  v1::Distribution d = histogram.Summarize();
  auto us = [](auto ns) { return Micros(static_cast<double>(ns)); };
  return fmt::format("{:<14} {:>7} {:>11} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n",
                     name, request.payload_bytes, d.count(), us(d.min_ns()), us(d.p50_ns()), us(d.p90_ns()),
                     us(d.p99_ns()), us(d.p999_ns()), us(d.max_ns()), us(d.mean_ns()), us(d.stdev_ns()));
}

}  // namespace

std::string HostName() {
  utsname system{};
  uname(&system);
  return system.nodename;
}

nlohmann::json PingRow(const PingRequest& request, const PingResult& result) {
  nlohmann::json row = Identity("ping", request.target, result.details);
  row.update(
      {{"payload_bytes", request.payload_bytes},
       {"rtt_us", DistributionJson(result.rtt)},
       {"network_rtt_us", DistributionJson(result.network_rtt)},
       {"responder_hold_us", DistributionJson(result.responder_hold)},
       {"host_delay_us", DistributionJson(result.host_delay)},
       {"samples", result.rtt.count()},
       {"stamped_samples", result.host_delay.count()},
       {"lost", result.lost},
       {"warmup", request.warmup},
       {"elapsed_s", std::chrono::duration<double>(result.elapsed).count()},
       {"timestamp_source", ClockName(result.source)},
       {"wait_mode",
        {{"prober", WaitModeName(request.target.wait_mode)}, {"responder", WaitModeName(result.peer.wait_mode())}}},
       {"binding", BindingsJson(result.binding, result.peer.binding())},
       {"peer", PeerJson(result.peer)},
       {"not_sent", OrNull(result.not_sent)},
       {"retransmits", OrNull(result.retransmits)},
       {"interrupted", result.interrupted}});
  if (!result.failure.ok()) row["ended_by"] = ErrorJson(result.failure);
  return row;
}

nlohmann::json BandwidthRow(const BandwidthRequest& request, const BandwidthResult& result) {
  const StreamSample& sample = result.sample;
  nlohmann::json row = Identity("bw", request.target, result.details);
  nlohmann::json by_stream = nlohmann::json::array();
  for (const auto& [direction, one] : result.streams)
    by_stream.push_back({{"direction", DirectionName(direction)},
                         {"bw_gbps", BandwidthFigures(one)},
                         {"bytes", one.bytes},
                         {"elapsed_s", std::chrono::duration<double>(one.elapsed).count()}});
  row.update({{"direction", DirectionName(request)},
              {"message_bytes", request.message_bytes == 0 ? nlohmann::json() : nlohmann::json(request.message_bytes)},
              {"iteration_bytes", IterationBytes(request)},
              {"streams", request.streams},
              {"bw_gbps", BandwidthFigures(sample)},
              {"by_stream", std::move(by_stream)},
              {"bytes", sample.bytes},
              {"receipts", sample.receipts},
              {"not_known_reason", sample.bps() ? "" : WhyUntimed(sample)},
              {"elapsed_s", std::chrono::duration<double>(sample.elapsed).count()},
              {"interrupted", result.interrupted},
              {"window_ms", std::chrono::duration<double, std::milli>(request.window).count()},
              {"counted_by", "receiver"},
              {"expected", ExpectedJson(sample, result.expected)},
              {"counters", CountersJson(result.counters)},
              {"binding", BindingsJson(result.binding, result.peer.binding())},
              {"peer", PeerJson(result.peer)}});
  return row;
}

nlohmann::json IntervalRow(const BandwidthRequest& request, uint32_t repeat, const BandwidthInterval& interval) {
  nlohmann::json row = Identity(kIntervalKind, request.target, {});
  const double seconds = std::chrono::duration<double>(interval.length).count();
  auto gbps = [&](const std::optional<uint64_t>& bytes) {
    return bytes ? nlohmann::json(Gbps(static_cast<double>(*bytes) * 8 / seconds)) : nlohmann::json();
  };
  row.update({{"repeat", repeat},
              {"since_start_s", std::chrono::duration<double>(interval.since_start).count()},
              {"interval_s", seconds},
              {"sent_gbps", gbps(interval.to_peer_bytes)},
              {"received_gbps", gbps(interval.from_peer_bytes)},
              {"counted_by", "this end"}});
  return row;
}

std::string IntervalLine(const BandwidthRequest& request, const BandwidthInterval& interval) {
  const double seconds = std::chrono::duration<double>(interval.length).count();
  std::string line = fmt::format("{}: {:>6.1f} s", request.target.transport,
                                 std::chrono::duration<double>(interval.since_start).count());
  for (Direction direction : request.directions) {
    const bool to_peer = direction == Direction::kToPeer;
    const std::optional<uint64_t> bytes = to_peer ? interval.to_peer_bytes : interval.from_peer_bytes;
    line += to_peer ? "  sent " : "  received ";
    line += bytes ? fmt::format("{:.3f} Gb/s", Gbps(static_cast<double>(*bytes) * 8 / seconds))
                  : "what only the peer counts";
  }
  return line + "\n";
}

nlohmann::json PingFailureRow(const PingRequest& request, const absl::Status& status) {
  nlohmann::json row = Identity("ping", request.target, {});
  row.update({{"payload_bytes", request.payload_bytes}, {"error", ErrorJson(status)}});
  return row;
}

nlohmann::json BandwidthFailureRow(const BandwidthRequest& request, const absl::Status& status) {
  nlohmann::json row = Identity("bw", request.target, {});
  row.update({{"direction", DirectionName(request)},
              {"message_bytes", request.message_bytes == 0 ? nlohmann::json() : nlohmann::json(request.message_bytes)},
              {"iteration_bytes", IterationBytes(request)},
              {"streams", request.streams},
              {"error", ErrorJson(status)}});
  return row;
}

std::string PingTable(const PingRequest& request, const PingResult& result) {
  std::string table = fmt::format(
      "{} ping of {}: full round trips; network rtt by the {} clock; prober {}, responder {}\n",
      WayName(request.target.transport, result.details), FormatHostPort(request.target.host, request.target.port),
      ClockName(result.source), WaitModeName(request.target.wait_mode), WaitModeName(result.peer.wait_mode()));
  table += fmt::format("{:<14} {:>7} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "[usec]", "#bytes",
                       "#iterations", "t_min", "p50", "p90", "99%", "99.9%", "t_max", "t_avg", "t_stdev");
  table += DistributionRow("rtt", request, result.rtt);
  table += DistributionRow("network rtt", request, result.network_rtt);
  table += DistributionRow("responder hold", request, result.responder_hold);
  if (result.host_delay.count() > 0) table += DistributionRow("host delay", request, result.host_delay);
  const uint64_t sent = result.rtt.count() + result.lost;
  table += fmt::format(
      "{} sent, {} lost ({:.2f} %){}{} in {:.2f} s{}\n", sent, result.lost,
      100.0 * static_cast<double>(result.lost) / static_cast<double>(sent),
      result.not_sent.value_or(0) > 0 ? fmt::format(", {} not sent in time", *result.not_sent) : "",
      result.retransmits.value_or(0) > 0 ? fmt::format(", {} packets sent again by TCP", *result.retransmits) : "",
      std::chrono::duration<double>(result.elapsed).count(), result.interrupted ? ", interrupted" : "");
  if (!result.failure.ok()) table += fmt::format("ended by: {}\n", std::string(result.failure.message()));
  return table;
}

std::string BandwidthTable(const BandwidthRequest& request, const BandwidthResult& result) {
  const StreamSample& sample = result.sample;
  const bool both = request.directions.size() > 1;
  const char* way = both ? "to and from" : request.directions.front() == Direction::kToPeer ? "to" : "from";
  const uint64_t message_bytes = request.message_bytes != 0 ? request.message_bytes : request.payload_bytes;
  const bool in_messages = request.message_bytes != 0 && request.message_bytes < request.payload_bytes;
  const double seconds = std::chrono::duration<double>(sample.elapsed).count();
  const double messages = static_cast<double>(sample.bytes) / static_cast<double>(message_bytes);
  std::string table = fmt::format("{} bandwidth {} {}, {} stream{}: payload counted by the receiver, decimal Gb/s\n",
                                  WayName(request.target.transport, result.details), way,
                                  FormatHostPort(request.target.host, request.target.port), result.streams.size(),
                                  result.streams.size() == 1 ? "" : "s");
  table += fmt::format("{:>9} {:>12} {:>16} {:>20} {:>23} {:>13} {:>9}\n", "#bytes", "#iterations", "BW peak[Gb/sec]",
                       "BW average[Gb/sec]", "BW worst window[Gb/sec]", "MsgRate[Mpps]", "seconds");
  const auto bps = sample.bps();
  auto cell = [&](double value, int width, int digits) {
    return bps ? fmt::format("{:>{}.{}f}", value, width, digits) : fmt::format("{:>{}}", "-", width);
  };
  table +=
      fmt::format("{:>9} {:>12.0f} {} {} {} {} {:>9.3f}\n", message_bytes, std::ceil(messages),
                  cell(Gbps(sample.max_window_bps), 16, 3), cell(Gbps(bps.value_or(0)), 20, 3),
                  cell(Gbps(sample.min_window_bps), 23, 3), cell(bps ? messages / seconds / 1e6 : 0, 13, 6), seconds);
  if (in_messages)
    table += fmt::format("iterations of {} bytes were asked for: sent in messages of {}, the largest of {}\n",
                         request.payload_bytes, request.message_bytes, request.target.transport);
  if (!bps) table += WhyUntimed(sample) + "\n";
  if (auto percent = PercentOf(sample, result.expected))
    table += fmt::format("{:.1f} % of {:.3f} Gb/s, the {}\n", *percent, Gbps(result.expected.bps()),
                         result.expected.limit());
  if (result.interrupted) table += "interrupted: until then\n";
  for (const v1::CounterDelta& counter : result.counters)
    table += fmt::format("{} rose by {} meanwhile ({})\n", counter.name(), counter.delta(),
                         SeverityName(counter.severity()));
  return table;
}

}  // namespace netsense
