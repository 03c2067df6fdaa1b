// `netsense-bench bw`: streams, one way or both.
#include <limits>
#include <memory>

#include "base/flag_checks.h"
#include "bench/command.h"
#include "bench/measure_flags.h"

namespace netsense {
namespace {

struct BandwidthFlags : MeasureFlags {
  std::optional<uint64_t> size;
  bool reverse = false;
  bool bidirectional = false;
  uint32_t streams = 1;
  double warmup_s = 0;
  uint32_t window_ms = 100;
};

int Bandwidth(const BandwidthFlags& flags, const std::stop_token& stop) {
  if (flags.size && flags.iterations && *flags.size > std::numeric_limits<uint64_t>::max() / *flags.iterations)
    return Fail(absl::InvalidArgumentError("-n times -s is more than can be counted"));
  TransportRegistry transports;
  return RunInterleaved(flags, "bw", stop, [&](const MeasureTarget& target, uint32_t repeat, Results* results) {
    BandwidthRequest request{.target = target,
                             .bounds = MeasureBoundsOf(flags, {.iterations = {}, .duration = std::chrono::seconds(3)})};
    if (flags.size) {
      request.payload_bytes = *flags.size;
      request.message_bytes = MessageBytes(transports, target.transport, *flags.size);
    }
    request.streams = flags.streams;
    if (flags.reverse) request.directions = {Direction::kFromPeer};
    if (flags.bidirectional) request.directions = {Direction::kToPeer, Direction::kFromPeer};
    request.warmup = std::chrono::nanoseconds(static_cast<int64_t>(flags.warmup_s * 1e9));
    request.window = std::chrono::milliseconds(flags.window_ms);
    BandwidthInto(transports, request, repeat, stop, results);
  });
}

}  // namespace

Command AddBandwidth(CLI::App& program) {
  auto flags = std::make_shared<BandwidthFlags>();
  CLI::App* app = program.add_subcommand("bw", "bandwidth: payload that the receiver counted, decimal Gb/s");
  AddMeasureFlags(app, flags.get());
  AddWaitModeFlags(app, flags.get());
  AddBandwidthThresholds(app, flags.get());
  app->add_option("-s,--size", flags->size,
                  "payload bytes of one iteration: one message, or, and it is said, several where the transport's are "
                  "smaller (default: "
                  "1048576 in messages of the transport's choice)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  auto* reverse = app->add_flag("--reverse", flags->reverse, "the peer sends, we receive");
  app->add_flag("-b,--bidirectional", flags->bidirectional, "both ways at the same time: the sum")->excludes(reverse);
  app->add_option("-q,--streams,--qp", flags->streams, "streams (queue pairs) at the same time in each direction")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("-O,--warmup", flags->warmup_s, "seconds of streaming before what counts")
      ->check(NumberBetween(0, 60));
  app->add_option("--window", flags->window_ms, "milliseconds of the windows for the worst and best bandwidth")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  return {app, [flags](const std::stop_token& stop) { return Bandwidth(*flags, stop); }};
}

}  // namespace netsense
