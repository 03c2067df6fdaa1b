#include "bench/measure_flags.h"

#include <dlfcn.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/flag_checks.h"
#include "base/host_port.h"
#include "base/token.h"
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

  const std::string group = "Transport";
  v1::TransportOptions* options = &flags->options;
  command
      ->add_option("--mode", *options->mutable_mode(),
                   "one of the transport's ways (grpc: unary, stream; verbs: write, read)")
      ->check(IsUtf8)
      ->group(group);
  command
      ->add_option("-d,--device,--ib-dev", *options->mutable_device(),
                   "our device: verbs rxe0 or mlx5_0:1, ucx a list as UCX_NET_DEVICES")
      ->check(IsUtf8)
      ->group(group);
  command->add_option("--peer-device", *options->mutable_peer_device(), "the responder's device")
      ->check(IsUtf8)
      ->group(group);
  command->add_option("--ucx-tls", *options->mutable_ucx_tls(), "UCX transports, as UCX_TLS (default ^shm)")
      ->check(IsUtf8)
      ->group(group);
  command->add_option("--ucx-rails", flags->ucx_rails, "rails of one UCX stream (default 1)")
      ->check(CLI::Range(1, 16))
      ->group(group);
  command->add_option("-x,--gid-index", flags->gid_index, "verbs: our GID (default: RoCE v2, of the address)")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("--peer-gid-index", flags->peer_gid_index, "verbs: the responder's GID")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("-S,--sl", flags->service_level, "verbs: service level")->check(CLI::Range(0, 15))->group(group);
  command->add_option("--tclass", flags->traffic_class, "traffic class: DSCP and ECN, both ways (tcp, grpc, verbs)")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("-m,--mtu,--path-mtu", flags->path_mtu, "verbs: path MTU (default: the smaller of both ports)")
      ->check(CLI::IsMember({256, 512, 1024, 2048, 4096}))
      ->group(group);
  command->add_option("--source-address", flags->from.address, "local address to measure from");
  command->add_option(
      "--interface", flags->from.netdev,
      "network device to measure by, whatever the routes say (give the responder its own, for the way back)");
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
  auto peer = ParseHostPort(flags.target);
  if (!peer.ok()) return peer.status();
  if (peer->port == 0) return absl::InvalidArgumentError("port 0 cannot be measured");
  if (auto status = CheckMemory(flags.memory); !status.ok()) return status;
  auto token = FindToken(flags.door.token_file);
  if (!token.ok()) return token.status();
  if (token->secret.empty() && !flags.door.insecure && !IsLoopback(peer->host))
    return absl::InvalidArgumentError(
        "no token to prove who we are: give --token-file (the same token as the peer's), or --insecure if it serves "
        "without one");
  MeasureTarget target{peer->host, peer->port, flags.from, token->secret, transport};
  target.wait_mode = flags.blocking ? v1::WAIT_MODE_BLOCK : v1::WAIT_MODE_BUSY_POLL;
  target.options = flags.options;
  target.pinning = flags.door.pinning;
  target.pinning.enabled = !flags.door.no_pin;
  target.options.set_ucx_max_rndv_rails(flags.ucx_rails);
  target.options.set_service_level(flags.service_level);
  target.options.set_traffic_class(flags.traffic_class);
  target.options.set_path_mtu(flags.path_mtu);
  if (flags.gid_index) target.options.set_gid_index(*flags.gid_index);
  if (flags.peer_gid_index) target.options.set_peer_gid_index(*flags.peer_gid_index);
  return target;
}

MeasureBounds BoundsOf(const MeasureFlags& flags, MeasureBounds by_default) {
  if (flags.iterations) return {.iterations = flags.iterations, .duration = {}};
  if (!flags.duration_s) return by_default;
  return {.iterations = {}, .duration = std::chrono::nanoseconds(static_cast<int64_t>(*flags.duration_s * 1e9))};
}

uint32_t MessageBytes(const TransportRegistry& transports, const std::string& transport, uint64_t wanted) {
  auto found = transports.Find(transport);
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
