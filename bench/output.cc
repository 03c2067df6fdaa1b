#include "bench/output.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <iostream>

#include "base/process.h"
#include "transports/socket.h"

namespace netsense {
namespace {

double Micros(double ns) { return ns / 1e3; }
double Gbps(double bps) { return bps / 1e9; }

nlohmann::json DistributionJson(const Histogram& histogram) {
  v1::Distribution d = histogram.Summarize();
  return {{"min", Micros(static_cast<double>(d.min_ns()))},
          {"p50", Micros(static_cast<double>(d.p50_ns()))},
          {"p90", Micros(static_cast<double>(d.p90_ns()))},
          {"p99", Micros(static_cast<double>(d.p99_ns()))},
          {"p99_9", Micros(static_cast<double>(d.p999_ns()))},
          {"max", Micros(static_cast<double>(d.max_ns()))},
          {"mean", Micros(d.mean_ns())},
          {"stdev", Micros(d.stdev_ns())}};
}

const char* WaitName(v1::WaitMode mode) { return mode == v1::WAIT_MODE_BUSY_POLL ? "busy-poll" : "blocking"; }

const char* SourceName(v1::TimestampSource source) {
  switch (source) {
    case v1::TIMESTAMP_SOURCE_USER:
      return "user";
    case v1::TIMESTAMP_SOURCE_KERNEL:
      return "kernel";
    case v1::TIMESTAMP_SOURCE_NIC:
      return "nic";
    default:
      return "none";
  }
}

const char* DirectionName(Direction direction) { return direction == Direction::kToPeer ? "to_peer" : "from_peer"; }

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

const char* SeverityName(v1::CounterDelta::Severity severity) {
  switch (severity) {
    case v1::CounterDelta::SEVERITY_FATAL:
      return "fatal";
    case v1::CounterDelta::SEVERITY_ERROR:
      return "error";
    default:
      return "congestion";
  }
}

nlohmann::json CountersJson(const std::vector<v1::CounterDelta>& counters) {
  nlohmann::json list = nlohmann::json::array();
  for (const v1::CounterDelta& counter : counters)
    list.push_back(
        {{"name", counter.name()}, {"delta", counter.delta()}, {"severity", SeverityName(counter.severity())}});
  return list;
}

// Percent of what the path could carry.
double PercentOf(const StreamSample& sample, const v1::ExpectedBandwidth& expected) {
  return 100 * sample.bps() / expected.bps();
}

nlohmann::json ExpectedJson(const StreamSample& sample, const v1::ExpectedBandwidth& expected) {
  if (expected.bps() <= 0)
    return {{"gbps", nullptr}, {"percent", nullptr}, {"limit", ""}, {"reason", expected.reason()}};
  return {{"gbps", Gbps(expected.bps())},
          {"percent", PercentOf(sample, expected)},
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

nlohmann::json PingJson(const PingRequest& request, const PingResult& result) {
  return {
      {"transport", request.target.transport},
      {"mode", result.details.mode},
      {"device", result.details.device},
      {"payload_bytes", request.payload_bytes},
      {"rtt_us", DistributionJson(result.rtt)},
      {"network_rtt_us", DistributionJson(result.network_rtt)},
      {"responder_hold_us", DistributionJson(result.responder_hold)},
      {"samples", result.rtt.count()},
      {"lost", result.lost},
      {"warmup", request.warmup},
      {"elapsed_s", std::chrono::duration<double>(result.elapsed).count()},
      {"timestamp_source", SourceName(result.source)},
      {"wait_mode", {{"prober", WaitName(request.target.wait_mode)}, {"responder", WaitName(result.peer.wait_mode())}}},
      {"binding", BindingsJson(result.binding, result.peer.binding())},
      {"peer", PeerJson(result.peer)},
      {"interrupted", result.interrupted}};
}

nlohmann::json BandwidthJson(const BandwidthRequest& request, const BandwidthResult& result) {
  const StreamSample& sample = result.sample;
  return {{"transport", request.target.transport},
          {"mode", result.details.mode},
          {"device", result.details.device},
          {"direction", DirectionName(request.direction)},
          {"bw_gbps",
           {{"avg", Gbps(sample.bps())},
            {"min_window", Gbps(sample.min_window_bps)},
            {"max_window", Gbps(sample.max_window_bps)}}},
          {"bytes", sample.bytes},
          {"elapsed_s", std::chrono::duration<double>(sample.elapsed).count()},
          {"window_ms", std::chrono::duration<double, std::milli>(request.window).count()},
          {"counted_by", "receiver"},
          {"expected", ExpectedJson(sample, result.expected)},
          {"counters", CountersJson(result.counters)},
          {"binding", BindingsJson(result.binding, result.peer.binding())},
          {"peer", PeerJson(result.peer)}};
}

nlohmann::json FailureJson(const std::string& transport, const absl::Status& status) {
  return {{"transport", transport},
          {"error", {{"code", absl::StatusCodeToString(status.code())}, {"message", std::string(status.message())}}}};
}

nlohmann::json Document(const std::string& command, const std::string& target, nlohmann::json results) {
  utsname system{};
  uname(&system);
  return {{"schema_version", 1},          {"command", command},           {"target", target},
          {"version", NETSENSE_VERSION},  {"hostname", system.nodename},  {"kernel", system.release},
          {"ended_at_ms", EpochMillis()}, {"results", std::move(results)}};
}

std::string PingTable(const PingRequest& request, const PingResult& result) {
  std::string table = fmt::format("{} ping of {}: full round trips by the {} clock, prober {}, responder {}\n",
                                  WayName(request.target.transport, result.details),
                                  FormatHostPort(request.target.host, request.target.port), SourceName(result.source),
                                  WaitName(request.target.wait_mode), WaitName(result.peer.wait_mode()));
  table += fmt::format("{:<14} {:>7} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "[usec]", "#bytes",
                       "#iterations", "t_min", "p50", "p90", "99%", "99.9%", "t_max", "t_avg", "t_stdev");
  table += DistributionRow("rtt", request, result.rtt);
  table += DistributionRow("network rtt", request, result.network_rtt);
  table += DistributionRow("responder hold", request, result.responder_hold);
  uint64_t sent = result.rtt.count() + result.lost;
  table +=
      fmt::format("{} sent, {} lost ({:.2f} %) in {:.2f} s{}\n", sent, result.lost,
                  100.0 * static_cast<double>(result.lost) / static_cast<double>(sent),
                  std::chrono::duration<double>(result.elapsed).count(), result.interrupted ? ", interrupted" : "");
  return table;
}

std::string BandwidthTable(const BandwidthRequest& request, const BandwidthResult& result) {
  const StreamSample& sample = result.sample;
  std::string table = fmt::format("{} bandwidth {} {}: payload counted by the receiver, decimal Gb/s\n",
                                  WayName(request.target.transport, result.details),
                                  request.direction == Direction::kToPeer ? "to" : "from",
                                  FormatHostPort(request.target.host, request.target.port));
  table += fmt::format("{:>14} {:>10} {:>20} {:>22} {:>22}\n", "#bytes", "seconds", "BW average[Gb/sec]",
                       "BW worst window[Gb/sec]", "BW best window[Gb/sec]");
  table += fmt::format("{:>14} {:>10.3f} {:>20.3f} {:>22.3f} {:>22.3f}\n", sample.bytes,
                       std::chrono::duration<double>(sample.elapsed).count(), Gbps(sample.bps()),
                       Gbps(sample.min_window_bps), Gbps(sample.max_window_bps));
  if (result.expected.bps() > 0)
    table += fmt::format("{:.1f} % of {:.3f} Gb/s, the {}\n", PercentOf(sample, result.expected),
                         Gbps(result.expected.bps()), result.expected.limit());
  for (const v1::CounterDelta& counter : result.counters)
    table += fmt::format("{} rose by {} meanwhile ({})\n", counter.name(), counter.delta(),
                         SeverityName(counter.severity()));
  return table;
}

Progress::Progress(std::string what, std::optional<std::chrono::nanoseconds> duration, bool wanted)
    : what_(std::move(what)), duration_(duration) {
  if (!wanted || isatty(STDERR_FILENO) == 0) return;
  thread_ = std::jthread([this](const std::stop_token& stop) {
    if (SleepUnlessStopped(stop, std::chrono::seconds(1))) return;
    do Draw();
    while (!SleepUnlessStopped(stop, std::chrono::milliseconds(200)));
    std::cerr << "\r\033[K" << std::flush;
  });
}

Progress::~Progress() = default;

void Progress::Draw() {
  double seconds = std::chrono::duration<double>(MonotonicNow() - start_).count();
  double done = duration_ ? seconds / std::chrono::duration<double>(*duration_).count() : done_.load();
  done = std::clamp(done, 0.0, 1.0);
  std::cerr << fmt::format("\r\033[K{}: {:.0f} %", what_, done * 100);
  if (done > 0.01) std::cerr << fmt::format(", {:.0f} s left", seconds / done - seconds);
  std::cerr << std::flush;
}

}  // namespace netsense
