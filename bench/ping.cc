// `netsense-bench ping`: round trips, one after another.
#include <memory>

#include "base/flag_checks.h"
#include "bench/command.h"
#include "bench/measure_flags.h"

namespace netsense {
namespace {

struct PingFlags : MeasureFlags {
  uint32_t payload_bytes = 64;
  uint64_t warmup = 100;
  double interval_ms = 0;
  uint32_t timeout_ms = 1000;
};

int Ping(const PingFlags& flags, const std::stop_token& stop) {
  TransportRegistry transports;
  return RunInterleaved(flags, "ping", stop, [&](const MeasureTarget& target, uint32_t repeat, Results* results) {
    PingRequest request{.target = target, .bounds = MeasureBoundsOf(flags, {.iterations = 1000, .duration = {}})};
    request.payload_bytes = flags.payload_bytes;
    request.warmup = flags.warmup;
    request.interval = std::chrono::nanoseconds(static_cast<int64_t>(flags.interval_ms * 1e6));
    request.timeout = std::chrono::milliseconds(flags.timeout_ms);
    PingInto(transports, request, repeat, nullptr, stop, results);
  });
}

}  // namespace

Command AddPing(CLI::App& program) {
  auto flags = std::make_shared<PingFlags>();
  CLI::App* app = program.add_subcommand("ping", "round-trip time: full round trips, never half");
  AddMeasureFlags(app, flags.get());
  AddWaitModeFlags(app, flags.get());
  AddRttThreshold(app, flags.get());
  app->add_option("-s,--size", flags->payload_bytes, "payload bytes each way")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  app->add_option("--warmup", flags->warmup, "pings before the first that counts")->capture_default_str();
  app->add_option("--interval", flags->interval_ms, "milliseconds between pings (0: back to back)")
      ->check(NumberBetween(0, 86'400'000));
  app->add_option("--timeout", flags->timeout_ms, "milliseconds after which a ping counts as lost")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  return {app, [flags](const std::stop_token& stop) { return Ping(*flags, stop); }};
}

}  // namespace netsense
