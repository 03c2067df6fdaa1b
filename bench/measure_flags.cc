#include "bench/measure_flags.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/flag_checks.h"
#include "base/host_port.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "base/utf8.h"
#include "bench/command.h"
#include "bench/progress.h"
#include "bench/rows.h"

namespace netsense {
namespace {

absl::Status CheckMemory(const std::string& memory) {
  if (memory == "host") return absl::OkStatus();
  if (void* driver = dlopen("libcuda.so.1", RTLD_LAZY); driver != nullptr) {
    dlclose(driver);
    return absl::UnavailableError("streams from GPU memory are not built yet: --memory host");
  }
  return absl::UnavailableError("no GPU memory here: libcuda.so.1 cannot be loaded; --memory host");
}

absl::Status WithAdvice(const absl::Status& status) {
  if (absl::IsResourceExhausted(status))
    return absl::ResourceExhaustedError(
        absl::StrCat(status.message(),
                     "; stay below it with -n and -s, or run `netsense-bench serve` there, which has no such limit"));
  return status;
}

// Of what goes to the peer in a message.
std::string IsUtf8(const std::string& text) {
  return ToUtf8(text) == text ? "" : "'" + ToUtf8(text) + "' is no UTF-8: a name of a device or a mode is";
}

// What each backend says, with its name before it.
std::string EachOf(const TransportRegistry& transports, const std::function<std::string(const Capabilities&)>& words) {
  std::string all;
  for (const auto& transport : transports.all())
    if (const std::string its = words(transport->capabilities()); !its.empty())
      absl::StrAppend(&all, all.empty() ? "" : "; ", std::string(transport->name()), ": ", its);
  return all;
}

// A flag for each option that some backend declares, and who does.
void AddTransportFlags(CLI::App* command, v1::TransportOptions* options) {
  const TransportRegistry transports;
  const std::string group = "Transport";
  const std::string devices = EachOf(transports, [](const Capabilities& capabilities) { return capabilities.devices; });
  command
      ->add_option("--mode", *options->mutable_mode(),
                   absl::StrCat("one of the transport's ways (", ModesInWords(transports), ")"))
      ->check(IsUtf8)
      ->group(group);
  command->add_option("-d,--device,--ib-dev", *options->mutable_device(), absl::StrCat("our device (", devices, ")"))
      ->check(IsUtf8)
      ->group(group);
  command->add_option("--peer-device", *options->mutable_peer_device(), "the responder's device")
      ->check(IsUtf8)
      ->group(group);
  struct Declared {
    OptionSpec option;
    std::vector<std::string> by;
  };
  std::vector<Declared> all;
  for (const auto& transport : transports.all())
    for (const OptionSpec& option : transport->capabilities().options) {
      auto found =
          std::find_if(all.begin(), all.end(), [&](const Declared& known) { return known.option.name == option.name; });
      if (found == all.end()) found = all.insert(found, {option, {}});
      found->by.emplace_back(transport->name());
    }
  for (const auto& [option, by] : all) {
    auto keep = [options, name = option.name](const std::string& value) { (*options->mutable_values())[name] = value; };
    auto* flag = command->add_option_function<std::string>(option.flags, keep,
                                                           absl::StrCat(absl::StrJoin(by, ", "), ": ", option.help));
    flag->group(group)->type_name(option.is_number() ? "UINT" : "TEXT");
    if (!option.choices.empty())
      flag->check(CLI::IsMember(option.choices));
    else if (option.is_number())
      flag->check(CLI::Range(option.least, option.most));
    else
      flag->check(IsUtf8);
  }
}

}  // namespace

void AddDoorFlags(CLI::App* command, DoorFlags* flags) {
  command->add_option("--token-file", flags->token_file,
                      "file with the shared token (default: NETSENSE_TOKEN_FILE, then Ray's own places)");
  command->add_flag("--insecure", flags->insecure, "go without a token");
  auto* cpus = command->add_option("--cpus", flags->pinning.cpus,
                                   "processors of the measuring thread, as 0-3,8 (default: those next to the port)");
  command->add_flag("--no-pin", flags->no_pin, "let the measuring thread run anywhere")->excludes(cpus);
  command->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error, off");
}

void AddMeasureFlags(CLI::App* command, MeasureFlags* flags) {
  AddDoorFlags(command, &flags->door);
  command
      ->add_option("target", flags->target,
                   "HOST:PORT of `netsense-bench serve`, or of an engine's door (which bounds streams: give -n)")
      ->required();
  command->add_option("-t,--transport", flags->transports, "transports to measure, one after another")
      ->delimiter(',')
      ->capture_default_str();
  auto* iterations = command->add_option("-n,--iters", flags->iterations, "iterations")->check(NumberAboveZero());
  command->add_option("-D,--duration", flags->duration_s, "seconds, instead of a number of iterations")
      ->check(NumberBetween(0.001, 86400))
      ->excludes(iterations);
  command->add_option("--repeat", flags->repeat, "whole runs, the transports in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--memory", flags->memory, "where the payload lies: host, or cuda where there is a GPU")
      ->check(CLI::IsMember({"host", "cuda"}))
      ->capture_default_str();

  const std::string output = "Output";
  command->add_flag("--json", flags->output.json, "one JSON document on stdout")->group(output);
  command->add_option("--jsonl", flags->output.jsonl, "each row as a line of JSON as it comes, into a file or -")
      ->group(output);
  command->add_option("--csv", flags->output.csv, "the rows' main columns as CSV, into a file or -")->group(output);

  AddTransportFlags(command, &flags->options);
  command->add_option("--source-address", flags->from.address, "local address to measure from");
  command->add_option(
      "--interface", flags->from.netdev,
      "network device to measure by, whatever the routes say (give the responder its own, for the way back)");
}

std::string ModesInWords(const TransportRegistry& transports) {
  return EachOf(transports, [](const Capabilities& capabilities) {
    return capabilities.modes.size() > 1 ? absl::StrJoin(capabilities.modes, ", ") : "";
  });
}

void AddWaitModeFlags(CLI::App* command, MeasureFlags* flags) {
  auto* blocking = command->add_flag("--blocking", flags->blocking,
                                     "sleep in the kernel while waiting, on both sides; tcp then takes the network's "
                                     "round trip from the kernel's own timestamps");
  command
      ->add_flag("--busy-poll", flags->busy_poll,
                 "spin while waiting, on both sides where the responder allows it (default)")
      ->excludes(blocking);
}

void AddRttThreshold(CLI::App* command, MeasureFlags* flags) {
  command
      ->add_option("--max-rtt", flags->output.max_rtt_us,
                   "exit with 1 when the median network round trip is longer, in microseconds")
      ->check(NumberAboveZero())
      ->group("Thresholds");
}

void AddBandwidthThresholds(CLI::App* command, MeasureFlags* flags) {
  const std::string group = "Thresholds";
  command
      ->add_option("--min-bw", flags->output.min_bw_gbps,
                   "exit with 1 when the average is lower, in Gb/s (with 3 when it is not known)")
      ->check(NumberAboveZero())
      ->group(group);
  command
      ->add_option(
          "--expect", flags->output.min_percent,
          "exit with 1 when it is less than so many percent of what the path could carry (90%), with 3 when that "
          "is not known")
      ->transform([](const std::string& text) { return text.ends_with('%') ? text.substr(0, text.size() - 1) : text; })
      ->check(NumberBetween(0, 1000))
      ->group(group);
}

absl::StatusOr<MeasureTarget> TargetOf(const MeasureFlags& flags, const std::string& transport) {
  ASSIGN_OR_RETURN(auto peer, ParseHostPort(flags.target));
  if (peer.port == 0) return absl::InvalidArgumentError("port 0 cannot be measured");
  RETURN_IF_ERROR(CheckMemory(flags.memory));
  ASSIGN_OR_RETURN(auto token, FindToken(flags.door.token_file));
  if (token.secret.empty() && !flags.door.insecure && !IsLoopback(peer.host))
    return absl::InvalidArgumentError(
        "no token to prove who we are: give --token-file (the same token as the peer's), or --insecure if it serves "
        "without one");
  MeasureTarget target{peer.host, peer.port, flags.from, RingOf(token), transport};
  target.wait_mode = flags.blocking ? v1::WAIT_MODE_BLOCK : v1::WAIT_MODE_BUSY_POLL;
  target.options = flags.options;
  target.pinning = flags.door.pinning;
  target.pinning.enabled = !flags.door.no_pin;
  return target;
}

MeasureBounds MeasureBoundsOf(const MeasureFlags& flags, MeasureBounds by_default) {
  if (flags.iterations) return {.iterations = flags.iterations, .duration = {}};
  if (!flags.duration_s) return by_default;
  return {.iterations = {}, .duration = std::chrono::nanoseconds(static_cast<int64_t>(*flags.duration_s * 1e9))};
}

uint32_t MessageBytes(const TransportRegistry& transports, const std::string& transport, uint64_t wanted) {
  auto found = transports.Await(transport);
  if (!found.ok()) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(wanted, (*found)->capabilities().max_message_bytes));
}

int Fail(const absl::Status& status) {
  std::cerr << "netsense-bench: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kUsage : kCouldNotMeasure;
}

int RunInterleaved(const MeasureFlags& flags, const std::string& command, const std::stop_token& stop,
                   const MeasureOne& measure) {
  auto results = Results::Begin(flags.output, command, flags.target);
  if (!results.ok()) return Fail(results.status());
  for (uint32_t repeat = 1; repeat <= flags.repeat; ++repeat) {
    for (const std::string& transport : flags.transports) {
      if (stop.stop_requested()) break;
      auto target = TargetOf(flags, transport);
      if (!target.ok()) return Fail(target.status());
      measure(*target, repeat, &*results);
    }
  }
  return results->Finish(stop.stop_requested());
}

void PingInto(const TransportRegistry& transports, const PingRequest& request, uint32_t repeat, const char* load,
              const std::stop_token& stop, Results* results) {
  auto result = [&] {  // the progress line is gone before the table comes
    Progress progress(request.target.transport + " ping", request.bounds.duration, results->for_people());
    return MeasurePing(
        transports, request, [&](double done) { progress.Set(done); }, stop);
  }();
  if (stop.stop_requested() && absl::IsCancelled(result.status())) return;  // no fault of the network
  nlohmann::json row = result.ok() ? PingRow(request, *result) : PingFailureRow(request, result.status());
  row["repeat"] = repeat;
  if (load != nullptr) row["load"] = load;
  if (result.ok()) {
    results->Add(std::move(row), PingTable(request, *result));
  } else {
    results->AddFailure(std::move(row), result.status());
  }
}

void BandwidthInto(const TransportRegistry& transports, const BandwidthRequest& request, uint32_t repeat,
                   const std::stop_token& stop, Results* results) {
  const bool watched = results->for_people() && isatty(STDERR_FILENO) != 0;
  auto result = MeasureBandwidth(transports, request, stop, [&](const BandwidthInterval& interval) {
    if (watched) std::cerr << IntervalLine(request, interval) << std::flush;
    results->AddInterval(IntervalRow(request, repeat, interval));
  });
  if (stop.stop_requested() && absl::IsCancelled(result.status())) return;
  nlohmann::json row = result.ok() ? BandwidthRow(request, *result) : BandwidthFailureRow(request, result.status());
  row["repeat"] = repeat;
  if (result.ok()) {
    results->Add(std::move(row), BandwidthTable(request, *result));
  } else {
    results->AddFailure(std::move(row), WithAdvice(result.status()));
  }
}

}  // namespace netsense
