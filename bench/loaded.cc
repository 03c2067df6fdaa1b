// `netsense-bench loaded`: round trips of an idle path, then of the same path under load.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <thread>

#include "base/deadlines.h"
#include "base/process.h"
#include "bench/command.h"
#include "bench/measure_flags.h"
#include "bench/progress.h"
#include "bench/rows.h"

namespace netsense {
namespace {

constexpr char kFormula[] =
    "added = median network round trip under load - idle (the queues' part); rpm = 60 s / median round trip under load "
    "(round trips per minute under working conditions, after draft-ietf-ippm-responsiveness)";
constexpr std::chrono::milliseconds kRampUp{300};  // until the streams have filled the queues
constexpr std::chrono::milliseconds kInterval{1};
constexpr uint32_t kExpeditedForwarding = 46 << 2;  // DSCP EF, RFC 3246

struct LoadedFlags : MeasureFlags {
  uint32_t payload_bytes = 64;
  uint32_t streams = 1;
  bool reverse = false;
  bool bidirectional = false;
  uint32_t priority_class = kExpeditedForwarding;
  uint32_t priority_level = 0;
};

class Loaded {
 public:
  Loaded(const LoadedFlags& flags, const std::stop_token& stop) : flags_(flags), stop_(stop) {}

  int Run() {
    return RunInterleaved(flags_, "loaded", stop_, [this](const MeasureTarget& target, uint32_t repeat, Results* out) {
      MeasureOne(target, repeat, out);
    });
  }

 private:
  using PingOutcome = absl::StatusOr<PingResult>;

  void MeasureOne(const MeasureTarget& target, uint32_t repeat, Results* out) {
    const auto seconds = std::chrono::nanoseconds(static_cast<int64_t>(flags_.duration_s.value_or(2) * 1e9));
    const PingRequest best_effort = RequestOf(target, seconds);
    PingRequest priority = best_effort;
    const auto transport = transports_.Await(target.transport);
    const bool has_classes = transport.ok() && (*transport)->capabilities().HasOption(kTrafficClass);
    auto& wishes = *priority.target.options.mutable_values();
    wishes[kTrafficClass] = std::to_string(flags_.priority_class);
    if (flags_.priority_level > 0) wishes[kServiceLevel] = std::to_string(flags_.priority_level);

    std::optional<Progress> progress(std::in_place, target.transport + " idle and under load", 2 * seconds + kRampUp,
                                     out->for_people());
    const PingOutcome idle = Ping(best_effort, stop_);
    if (stop_.stop_requested()) return;
    if (!idle.ok()) return Failed(best_effort, idle.status(), "idle", repeat, out);
    Keep(PingRow(best_effort, *idle), "idle", repeat, "", out);

    BandwidthRequest load{.target = target, .bounds = {.iterations = {}, .duration = seconds + 2 * kRampUp}};
    load.target.wait_mode = v1::WAIT_MODE_BLOCK;
    load.streams = flags_.streams;
    if (flags_.reverse) load.directions = {Direction::kFromPeer};
    if (flags_.bidirectional) load.directions = {Direction::kToPeer, Direction::kFromPeer};
    absl::StatusOr<BandwidthResult> streamed = absl::UnknownError("");
    PingOutcome loaded = absl::UnknownError(""), loaded_priority = absl::UnknownError("");
    {
      std::stop_source load_is_over;  // pings after it would be idle ones
      std::stop_callback forward(stop_, [&load_is_over] { load_is_over.request_stop(); });
      std::jthread streams([&] {
        streamed = MeasureBandwidth(transports_, load, stop_);
        load_is_over.request_stop();
      });
      if (SleepUnlessStopped(stop_, kRampUp)) return;
      std::jthread beside([&] {
        if (has_classes) loaded_priority = Ping(priority, load_is_over.get_token());
      });
      loaded = Ping(best_effort, load_is_over.get_token());
    }
    progress.reset();
    if (stop_.stop_requested()) return;
    if (!streamed.ok()) {  // first: without a load the pings beside it are cut off
      nlohmann::json row = BandwidthFailureRow(load, streamed.status());
      row["repeat"] = repeat;
      return out->AddFailure(std::move(row), streamed.status());
    }
    if (!loaded.ok()) return Failed(best_effort, loaded.status(), "loaded", repeat, out);
    if (has_classes && !loaded_priority.ok())
      return Failed(priority, loaded_priority.status(), "loaded-priority", repeat, out);

    Keep(PingRow(best_effort, *loaded), "loaded", repeat, "", out);
    if (has_classes) Keep(PingRow(priority, *loaded_priority), "loaded-priority", repeat, "", out);
    nlohmann::json load_row = BandwidthRow(load, *streamed);
    load_row["repeat"] = repeat;
    out->Add(std::move(load_row));
    Keep(Summary(target, *idle, *loaded, has_classes ? &*loaded_priority : nullptr), nullptr, repeat,
         Table(target, *idle, *loaded, has_classes ? &*loaded_priority : nullptr, *streamed), out);
  }

  PingRequest RequestOf(const MeasureTarget& target, std::chrono::nanoseconds duration) const {
    PingRequest request{.target = target, .bounds = {.iterations = {}, .duration = duration}};
    request.payload_bytes = flags_.payload_bytes;
    request.warmup = 10;
    request.interval = kInterval;
    request.timeout = deadlines::kLoadedPing();
    return request;
  }

  PingOutcome Ping(const PingRequest& request, const std::stop_token& end) {
    auto result = MeasurePing(
        transports_, request, [](double) {}, end);
    if (result.ok() && !result->failure.ok()) return result->failure;
    if (result.ok()) result->interrupted = stop_.stop_requested();
    return result;
  }

  static double MedianMicros(const Histogram& histogram) { return static_cast<double>(histogram.Quantile(0.5)) / 1e3; }
  static double RoundTripsPerMinute(const PingResult& result) { return 60e6 / MedianMicros(result.network_rtt); }

  nlohmann::json Summary(const MeasureTarget& target, const PingResult& idle, const PingResult& loaded,
                         const PingResult* priority) const {
    const double before = MedianMicros(idle.network_rtt), after = MedianMicros(loaded.network_rtt);
    nlohmann::json row = {{"kind", "loaded"},
                          {"source", HostName()},
                          {"target", flags_.target},
                          {"transport", target.transport},
                          {"mode", idle.details.mode},
                          {"device", idle.details.device},
                          {"payload_bytes", flags_.payload_bytes},
                          {"streams", flags_.streams},
                          {"idle_p50_us", before},
                          {"loaded_p50_us", after},
                          {"added_us", after - before},
                          {"rpm", after > 0 ? nlohmann::json(RoundTripsPerMinute(loaded)) : nlohmann::json()},
                          {"priority_p50_us", nullptr},
                          {"priority_added_us", nullptr},
                          {"priority_class", flags_.priority_class},
                          {"formula", kFormula}};
    if (priority != nullptr) {
      row["priority_p50_us"] = MedianMicros(priority->network_rtt);
      row["priority_added_us"] = MedianMicros(priority->network_rtt) - before;
    }
    return row;
  }

  std::string Table(const MeasureTarget& target, const PingResult& idle, const PingResult& loaded,
                    const PingResult* priority, const BandwidthResult& streamed) const {
    auto line = [&](const char* name, const PingResult& result) {
      v1::Distribution d = result.network_rtt.Summarize();
      auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1e3; };
      return fmt::format("{:<16} {:>11} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>12.0f}\n", name, d.count(),
                         us(d.min_ns()), us(d.p50_ns()), us(d.p99_ns()), us(d.p999_ns()),
                         MedianMicros(result.network_rtt) - MedianMicros(idle.network_rtt),
                         RoundTripsPerMinute(result));
    };
    const auto bps = streamed.sample.bps();
    std::string table =
        fmt::format("{} to {}, idle and under {} stream{} of {}: network round trips\n", target.transport,
                    flags_.target, streamed.streams.size(), streamed.streams.size() == 1 ? "" : "s",
                    bps ? fmt::format("{:.3f} Gb/s", *bps / 1e9) : "a bandwidth that is not known");
    table += fmt::format("{:<16} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}\n", "[usec]", "#iterations", "t_min",
                         "p50", "99%", "99.9%", "added", "rpm");
    table += line("idle", idle);
    table += line("loaded", loaded);
    if (priority != nullptr) table += line("loaded, priority", *priority);
    return table + kFormula + "\n";
  }

  static void Keep(nlohmann::json row, const char* load, uint32_t repeat, const std::string& table, Results* out) {
    row["repeat"] = repeat;
    if (load != nullptr) row["load"] = load;
    out->Add(std::move(row), table);
  }

  void Failed(const PingRequest& request, const absl::Status& status, const char* load, uint32_t repeat,
              Results* out) const {
    nlohmann::json row = PingFailureRow(request, status);
    row["repeat"] = repeat;
    row["load"] = load;
    out->AddFailure(std::move(row), status);
  }

  const LoadedFlags& flags_;
  const std::stop_token stop_;
  TransportRegistry transports_;
};

}  // namespace

Command AddLoaded(CLI::App& program) {
  auto flags = std::make_shared<LoadedFlags>();
  flags->blocking = true;  // two pings that spin beside the streams would be load of their own
  CLI::App* app = program.add_subcommand(
      "loaded", "round trips idle and under load, best effort and with priority (-D: seconds of each)");
  AddMeasureFlags(app, flags.get());
  app->remove_option(app->get_option("--iters"));  // both parts last equally long
  AddRttThreshold(app, flags.get());
  app->add_option("-s,--size", flags->payload_bytes, "payload bytes of a ping")
      ->check(CLI::Range(0, 16384))
      ->capture_default_str();
  app->add_option("-q,--streams,--qp", flags->streams, "streams of the load in each direction")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  auto* reverse = app->add_flag("--reverse", flags->reverse, "the peer sends the load");
  app->add_flag("-b,--bidirectional", flags->bidirectional, "load both ways")->excludes(reverse);
  app->add_option("--priority-tclass", flags->priority_class,
                  "traffic class of the high-priority session (default 184: DSCP EF)")
      ->check(CLI::Range(0, 255));
  app->add_option("--priority-sl", flags->priority_level,
                  "service level of the high-priority session, where the transport has one")
      ->check(CLI::Range(0, 15));
  return {app, [flags](const std::stop_token& stop) { return Loaded(*flags, stop).Run(); }};
}

}  // namespace netsense
