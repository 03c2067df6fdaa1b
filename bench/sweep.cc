// `netsense-bench sweep`: round trips and bandwidth over message sizes.
#include <fmt/format.h>

#include <memory>

#include "bench/command.h"
#include "bench/measure_flags.h"
#include "bench/progress.h"
#include "bench/rows.h"

namespace netsense {
namespace {

struct SweepFlags : MeasureFlags {
  uint32_t min_bytes = 1;
  uint32_t max_bytes = 8 << 20;
  bool no_ping = false;
  bool no_bw = false;
  bool reverse = false;
};

constexpr uint64_t kPings = 1000;
constexpr double kStreamSeconds = 0.3;
constexpr std::chrono::seconds kLongestStream{30};

// Powers of two between both, and both.
std::vector<uint32_t> Sizes(uint32_t from, uint32_t to) {
  std::vector<uint32_t> sizes = {from};
  for (uint64_t size = 1; size < to; size *= 2)
    if (size > from) sizes.push_back(static_cast<uint32_t>(size));
  if (to > from) sizes.push_back(to);
  return sizes;
}

class Sweep {
 public:
  Sweep(const SweepFlags& flags, const std::stop_token& stop) : flags_(flags), stop_(stop) {}

  int Run() {
    return RunInterleaved(flags_, "sweep", stop_, [this](const MeasureTarget& target, uint32_t repeat, Results* out) {
      auto transport = transports_.Await(target.transport);
      if (!transport.ok())
        return out->AddFailure(PingFailureRow({.target = target, .bounds = {}}, transport.status()),
                               transport.status());
      out->Say(fmt::format("{} sweep to {}\n{:>9} {:>12} {:>12} {:>12} {:>20} {:>16}\n", target.transport,
                           flags_.target, "#bytes", "rtt p50[us]", "99%[us]", "99.9%[us]", "BW average[Gb/sec]",
                           "MsgRate[Mpps]"));
      const Capabilities capabilities = (*transport)->capabilities();
      const std::vector<uint32_t> sizes = Sizes(flags_.min_bytes, flags_.max_bytes);
      // People see the lines come.
      Progress progress(target.transport + " sweep", {}, !out->for_people());
      for (size_t i = 0; i < sizes.size() && !stop_.stop_requested() && !failed_; ++i) {
        progress.Set(static_cast<double>(i) / static_cast<double>(sizes.size()));
        MeasureSize(target, capabilities, sizes[i], repeat, out);
      }
      failed_ = false;
    });
  }

 private:
  void MeasureSize(const MeasureTarget& target, const Capabilities& capabilities, uint32_t bytes, uint32_t repeat,
                   Results* out) {
    std::string line = fmt::format("{:>9}", bytes);
    if (!flags_.no_ping && bytes <= capabilities.max_ping_payload_bytes) {
      PingRequest request{.target = target, .bounds = MeasureBoundsOf(flags_, {.iterations = kPings, .duration = {}})};
      request.payload_bytes = bytes;
      auto result = MeasurePing(
          transports_, request, [](double) {}, stop_);
      if (!result.ok()) return Failed(PingFailureRow(request, result.status()), result.status(), repeat, out);
      v1::Distribution d = result->rtt.Summarize();
      line += fmt::format(" {:>12.2f} {:>12.2f} {:>12.2f}", static_cast<double>(d.p50_ns()) / 1e3,
                          static_cast<double>(d.p99_ns()) / 1e3, static_cast<double>(d.p999_ns()) / 1e3);
      Keep(PingRow(request, *result), repeat, out);
    } else {
      line += fmt::format(" {:>12} {:>12} {:>12}", "-", "-", "-");  // larger than a ping of this transport
    }
    if (!flags_.no_bw && bytes <= capabilities.max_message_bytes) {
      BandwidthRequest request{.target = target,
                               .bounds = MeasureBoundsOf(flags_, {.iterations = {}, .duration = StreamTime()})};
      request.payload_bytes = request.message_bytes = bytes;
      if (flags_.reverse) request.directions = {Direction::kFromPeer};
      auto result = MeasureBandwidth(transports_, request, stop_);
      // A few large messages over a slow link: longer, until they can be timed.
      while (result.ok() && !result->sample.bps() && request.bounds.duration &&
             *request.bounds.duration < kLongestStream && !stop_.stop_requested()) {
        request.bounds.duration = std::min<std::chrono::nanoseconds>(3 * *request.bounds.duration, kLongestStream);
        result = MeasureBandwidth(transports_, request, stop_);
      }
      if (!result.ok()) return Failed(BandwidthFailureRow(request, result.status()), result.status(), repeat, out);
      const auto bps = result->sample.bps();
      line += bps ? fmt::format(" {:>20.3f} {:>16.6f}", *bps / 1e9, *bps / 8 / bytes / 1e6)
                  : fmt::format(" {:>20} {:>16}", "-", "-");
      Keep(BandwidthRow(request, *result), repeat, out);
    } else {
      line += fmt::format(" {:>20} {:>16}", "-", "-");
    }
    out->Say(line + "\n");
  }

  static std::chrono::nanoseconds StreamTime() {
    return std::chrono::nanoseconds(static_cast<int64_t>(kStreamSeconds * 1e9));
  }

  static void Keep(nlohmann::json row, uint32_t repeat, Results* out) {
    row["repeat"] = repeat;
    out->Add(std::move(row));
  }

  // The other sizes would fail alike.
  void Failed(nlohmann::json row, const absl::Status& status, uint32_t repeat, Results* out) {
    row["repeat"] = repeat;
    if (!stop_.stop_requested()) out->AddFailure(std::move(row), status);
    failed_ = true;
  }

  const SweepFlags& flags_;
  const std::stop_token stop_;
  TransportRegistry transports_;
  bool failed_ = false;
};

}  // namespace

Command AddSweep(CLI::App& program) {
  auto flags = std::make_shared<SweepFlags>();
  CLI::App* app = program.add_subcommand("sweep", "round trips and bandwidth over message sizes, 1 B to 8 MiB");
  AddMeasureFlags(app, flags.get());
  AddWaitModeFlags(app, flags.get());
  AddRttThreshold(app, flags.get());
  AddBandwidthThresholds(app, flags.get());
  app->add_option("--min-size", flags->min_bytes, "smallest message, bytes")
      ->check(CLI::Range(1, 8 << 20))
      ->capture_default_str();
  app->add_option("--max-size", flags->max_bytes,
                  "largest message, bytes; round trips end at the transport's largest ping")
      ->check(CLI::Range(1, 8 << 20))
      ->capture_default_str();
  auto* no_ping = app->add_flag("--no-ping", flags->no_ping, "bandwidth only");
  app->add_flag("--no-bw", flags->no_bw, "round trips only")->excludes(no_ping);
  app->add_flag("--reverse", flags->reverse, "the peer sends, we receive");
  return {app, [flags](const std::stop_token& stop) { return Sweep(*flags, stop).Run(); }};
}

}  // namespace netsense
