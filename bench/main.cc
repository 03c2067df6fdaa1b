// netsense-bench: measures by hand what the engine measures by plan, and shows the inventory of a machine.
#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/token.h"
#include "bench/measure.h"
#include "bench/output.h"
#include "bench/serve.h"
#include "bench/topo.h"

namespace netsense {
namespace {

constexpr int kUsage = 2;
constexpr int kCouldNotMeasure = 3;

struct Flags {
  std::string listen = "127.0.0.1:18590";
  std::string target;
  std::vector<std::string> transports = {"tcp"};
  std::string token_file;
  LocalEnd from;
  std::string log_level;
  std::optional<uint64_t> iterations;
  std::optional<double> duration_s;
  std::optional<uint64_t> size;
  uint64_t warmup = 100;
  double interval_ms = 0;
  uint32_t timeout_ms = 1000;
  uint32_t window_ms = 100;
  v1::TransportOptions options;
  std::optional<uint32_t> gid_index, peer_gid_index;
  uint32_t ucx_rails = 0, service_level = 0, traffic_class = 0, path_mtu = 0;
  bool insecure = false;
  bool json = false;
  PinningOptions pinning;
  bool no_pin = false;
  bool blocking = false;
  bool busy_poll = false;
  bool reverse = false;
};

int Fail(const absl::Status& status) {
  std::cerr << "netsense-bench: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kUsage : kCouldNotMeasure;
}

absl::StatusOr<MeasureTarget> ResolveTarget(const Flags& flags, const std::string& transport) {
  auto peer = ParseHostPort(flags.target);
  if (!peer.ok()) return peer.status();
  if (peer->port == 0) return absl::InvalidArgumentError("port 0 cannot be measured");
  auto token = FindToken(flags.token_file);
  if (!token.ok()) return token.status();
  if (token->secret.empty() && !flags.insecure && !IsLoopback(peer->host))
    return absl::InvalidArgumentError(
        "no token to prove who we are: give --token-file (the same token as the peer's), or --insecure if it serves "
        "without one");
  MeasureTarget target{peer->host, peer->port, flags.from, token->secret, transport};
  target.wait_mode = flags.blocking ? v1::WAIT_MODE_BLOCK : v1::WAIT_MODE_BUSY_POLL;
  target.options = flags.options;
  target.pinning = flags.pinning;
  target.pinning.enabled = !flags.no_pin;
  target.options.set_ucx_max_rndv_rails(flags.ucx_rails);
  target.options.set_service_level(flags.service_level);
  target.options.set_traffic_class(flags.traffic_class);
  target.options.set_path_mtu(flags.path_mtu);
  if (flags.gid_index) target.options.set_gid_index(*flags.gid_index);
  if (flags.peer_gid_index) target.options.set_peer_gid_index(*flags.peer_gid_index);
  return target;
}

MeasureBounds BoundsOf(const Flags& flags, MeasureBounds by_default) {
  if (flags.iterations) return {.iterations = flags.iterations, .duration = {}};
  if (!flags.duration_s) return by_default;
  return {.iterations = {}, .duration = std::chrono::nanoseconds(static_cast<int64_t>(*flags.duration_s * 1e9))};
}

// Runs `measure` once per transport and prints; each gives its JSON entry and its table, or a status.
struct Entry {
  nlohmann::json json;
  std::string table;
};
template <typename Measure>
int RunEach(const Flags& flags, const std::string& command, Measure measure) {
  nlohmann::json results = nlohmann::json::array();
  int exit_code = 0;
  for (const std::string& transport : flags.transports) {
    absl::StatusOr<MeasureTarget> target = ResolveTarget(flags, transport);
    absl::StatusOr<Entry> entry = target.ok() ? measure(*target) : absl::StatusOr<Entry>(target.status());
    if (entry.ok()) {
      if (!flags.json) std::cout << entry->table << std::flush;
      results.push_back(std::move(entry->json));
      continue;
    }
    results.push_back(FailureJson(transport, entry.status()));
    std::cerr << "netsense-bench: " << transport << ": " << entry.status().message() << "\n";
    exit_code = std::max(exit_code, absl::IsInvalidArgument(entry.status()) ? kUsage : kCouldNotMeasure);
  }
  if (flags.json) std::cout << Document(command, flags.target, std::move(results)).dump(2) << "\n";
  return exit_code;
}

int Ping(const Flags& flags, std::stop_token stop) {
  TransportRegistry transports;
  return RunEach(flags, "ping", [&](const MeasureTarget& target) -> absl::StatusOr<Entry> {
    PingRequest request{.target = target, .bounds = BoundsOf(flags, {.iterations = 1000, .duration = {}})};
    request.payload_bytes = static_cast<uint32_t>(std::min<uint64_t>(flags.size.value_or(64), UINT32_MAX));
    request.warmup = flags.warmup;
    request.interval = std::chrono::nanoseconds(static_cast<int64_t>(flags.interval_ms * 1e6));
    request.timeout = std::chrono::milliseconds(flags.timeout_ms);
    Progress progress(target.transport + " ping", request.bounds.duration, !flags.json);
    auto result = MeasurePing(
        transports, request, [&](double done) { progress.Set(done); }, stop);
    if (!result.ok()) return result.status();
    return Entry{PingJson(request, *result), PingTable(request, *result)};
  });
}

int Bandwidth(const Flags& flags, std::stop_token stop) {
  TransportRegistry transports;
  return RunEach(flags, "bw", [&](const MeasureTarget& target) -> absl::StatusOr<Entry> {
    BandwidthRequest request{.target = target,
                             .bounds = BoundsOf(flags, {.iterations = {}, .duration = std::chrono::seconds(3)})};
    request.payload_bytes = flags.size.value_or(1 << 20);
    request.direction = flags.reverse ? Direction::kFromPeer : Direction::kToPeer;
    request.window = std::chrono::milliseconds(flags.window_ms);
    Progress progress(target.transport + " bandwidth", request.bounds.duration, !flags.json);
    auto result = MeasureBandwidth(transports, request, stop);
    if (absl::IsResourceExhausted(result.status()))
      return absl::ResourceExhaustedError(
          absl::StrCat(result.status().message(),
                       "; stay below it with -n and -s, or run `netsense-bench serve` there, which has no such limit"));
    if (!result.ok()) return result.status();
    return Entry{BandwidthJson(request, *result), BandwidthTable(request, *result)};
  });
}

int ServeUntilStopped(const Flags& flags, std::stop_token stop) {
  auto listen = ParseHostPort(flags.listen);
  if (!listen.ok()) return Fail(listen.status());
  auto token = FindToken(flags.token_file);
  if (!token.ok()) return Fail(token.status());
  DoorOptions door{.host = listen->host, .port = listen->port, .token = token->secret, .insecure = flags.insecure};
  door.netdev = flags.from.netdev;
  PinningOptions pinning = flags.pinning;
  pinning.enabled = !flags.no_pin;
  if (auto status = Serve(std::move(door), pinning, flags.json, stop); !status.ok()) return Fail(status);
  return 0;
}

void AddCommonFlags(CLI::App* command, Flags* flags) {
  command->add_option("--token-file", flags->token_file,
                      "file with the shared token (default: NETSENSE_TOKEN_FILE, then Ray's own places)");
  command->add_flag("--insecure", flags->insecure, "go without a token");
  command->add_flag("--json", flags->json, "one JSON document on stdout");
  auto* cpus = command->add_option("--cpus", flags->pinning.cpus,
                                   "processors of the measuring thread, as 0-3,8 (default: those next to the port)");
  command->add_flag("--no-pin", flags->no_pin, "let the measuring thread run anywhere")->excludes(cpus);
  command->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error, off");
}

void AddMeasureFlags(CLI::App* command, Flags* flags) {
  AddCommonFlags(command, flags);
  command->add_option("target", flags->target, "HOST:PORT of an engine's door or of `netsense-bench serve`")
      ->required();
  command->add_option("-t,--transport", flags->transports, "transports to measure, one after another")
      ->delimiter(',')
      ->capture_default_str();
  auto* iterations = command->add_option("-n,--iters", flags->iterations, "iterations")->check(CLI::PositiveNumber);
  command->add_option("-D,--duration", flags->duration_s, "seconds, instead of a number of iterations")
      ->check(CLI::Range(0.001, 86400.0))
      ->excludes(iterations);
  const std::string group = "Transport";
  v1::TransportOptions* options = &flags->options;
  command
      ->add_option("--mode", *options->mutable_mode(),
                   "one of the transport's ways (grpc: unary, stream; verbs: write, read)")
      ->group(group);
  command
      ->add_option("--device", *options->mutable_device(),
                   "our device: verbs rxe0 or mlx5_0:1, ucx a list as UCX_NET_DEVICES")
      ->group(group);
  command->add_option("--peer-device", *options->mutable_peer_device(), "the responder's device")->group(group);
  command->add_option("--ucx-tls", *options->mutable_ucx_tls(), "UCX transports, as UCX_TLS (default ^shm)")
      ->group(group);
  command->add_option("--ucx-rails", flags->ucx_rails, "rails of one UCX stream (default 1)")
      ->check(CLI::Range(1, 16))
      ->group(group);
  command->add_option("--gid-index", flags->gid_index, "verbs: our GID (default: RoCE v2, of the address)")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("--peer-gid-index", flags->peer_gid_index, "verbs: the responder's GID")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("--sl", flags->service_level, "verbs: service level")->check(CLI::Range(0, 15))->group(group);
  command->add_option("--tclass", flags->traffic_class, "verbs: traffic class (DSCP and ECN)")
      ->check(CLI::Range(0, 255))
      ->group(group);
  command->add_option("--path-mtu", flags->path_mtu, "verbs: path MTU (default: the smaller of both ports)")
      ->check(CLI::IsMember({256, 512, 1024, 2048, 4096}))
      ->group(group);
  command->add_option("--source-address", flags->from.address, "local address to measure from");
  command->add_option(
      "--interface", flags->from.netdev,
      "network device to measure by, whatever the routes say (give the responder its own, for the way back)");
}

void AddTopoFlags(CLI::App* command, TopoRequest* request, Flags* flags) {
  command
      ->add_option("--from", request->from,
                   "instead of this machine: hwloc XML (lstopo machine.xml), NCCL topology XML, or a folder with a "
                   "copy of /sys")
      ->check(CLI::ExistingPath);
  command->add_flag("--json", request->json, "one JSON document on stdout");
  command->add_option("--svg", request->svg, "draw the machine into this file");
  command
      ->add_option("--rails", request->inventory.rails, "ports of rail 0, 1, ... by name or PCI address, with commas")
      ->delimiter(',');
  command
      ->add_option("--topology-override", request->inventory.topology_override,
                   "topology file (NCCL's format) that says where devices are, where a hypervisor hides it")
      ->check(CLI::ExistingFile);
  command->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error, off");
}

}  // namespace
}  // namespace netsense

int main(int argc, char** argv) {
  using namespace netsense;
  Flags flags;
  CLI::App app{
      "netsense-bench measures round-trip time and bandwidth between two hosts by hand, and shows what is near to what "
      "on one."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "netsense-bench " NETSENSE_VERSION);
  app.footer(
      "Examples:\n"
      "  netsense-bench serve --listen 10.0.0.1:18590 --token-file /etc/netsense/token\n"
      "  netsense-bench ping 10.0.0.1:18590 -t tcp -n 10000 --token-file /etc/netsense/token\n"
      "  netsense-bench topo --svg machine.svg\n"
      "  netsense-bench bw 10.0.0.1:18590 -D 10 --json --token-file /etc/netsense/token\n"
      "Exit codes: 0 good, 2 usage, 3 could not measure.");

  CLI::App* serve = app.add_subcommand("serve", "answer measurements until Ctrl-C");
  AddCommonFlags(serve, &flags);
  serve->add_option("--listen", flags.listen, "ADDRESS:PORT; port 0 takes any free one")->capture_default_str();
  serve->add_option("--interface", flags.from.netdev,
                    "network device to serve by, in and out, whatever the routes say");

  TopoRequest topology;
  CLI::App* topo = app.add_subcommand("topo", "what is near to what: GPUs, NICs, NUMA nodes, rails of a machine");
  AddTopoFlags(topo, &topology, &flags);

  CLI::App* ping = app.add_subcommand("ping", "round-trip time: full round trips, never half");
  AddMeasureFlags(ping, &flags);
  ping->add_option("-s,--size", flags.size, "payload bytes each way (default 64)")->check(CLI::Range(0, 65536));
  ping->add_option("--warmup", flags.warmup, "pings before the first that counts")->capture_default_str();
  ping->add_option("--interval", flags.interval_ms, "milliseconds between pings (0: back to back)")
      ->check(CLI::NonNegativeNumber);
  ping->add_option("--timeout", flags.timeout_ms, "milliseconds after which a ping counts as lost")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  auto* blocking = ping->add_flag("--blocking", flags.blocking, "sleep in the kernel while waiting, on both sides");
  ping->add_flag("--busy-poll", flags.busy_poll,
                 "spin while waiting, on both sides where the responder allows it (default)")
      ->excludes(blocking);

  CLI::App* bw = app.add_subcommand("bw", "bandwidth: payload that the receiver counted, decimal Gb/s");
  AddMeasureFlags(bw, &flags);
  bw->add_option("-s,--size", flags.size, "payload bytes of one iteration (default 1048576)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  bw->add_flag("--reverse", flags.reverse, "the peer sends, we receive");
  bw->add_option("--window", flags.window_ms, "milliseconds of the windows for the worst and best bandwidth")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (auto status = InitLogging("netsense-bench", flags.log_level); !status.ok()) return Fail(status);
  if (topo->parsed()) {
    auto status = ShowTopology(topology, std::cout);
    return status.ok() ? 0 : Fail(status);
  }
  SignalStop stop;
  if (serve->parsed()) return ServeUntilStopped(flags, stop.token());
  return ping->parsed() ? Ping(flags, stop.token()) : Bandwidth(flags, stop.token());
}
