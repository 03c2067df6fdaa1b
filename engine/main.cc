// netsense-engine: measures when it is told, and answers other nodes' probes.
#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "base/host_port.h"
#include "base/last_words.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/service_manager.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "engine/control_server.h"
#include "engine/engine.h"
#include "proto/enum_names.h"

namespace netsense {
namespace {

constexpr int kUsage = 2;
constexpr int kFailed = 3;

struct Flags {
  std::string listen = "127.0.0.1:18590";
  std::string control_socket;
  std::string token_file;
  std::string log_level;
  inventory::Options inventory;
  PinningOptions pinning;
  bool no_pin = false;
  uint32_t exit_without_lease_s = 0;
  bool listen_on_rails = false;
  bool insecure = false;
  bool list_transports = false;
  bool status = false;
  bool json = false;
};

int Fail(const absl::Status& status) {
  std::cerr << "netsense-engine: " << status.message() << "\n";
  SayLastWords(std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kUsage : kFailed;
}

int ListTransports(bool as_json) {
  TransportRegistry transports;
  nlohmann::json list = nlohmann::json::array();
  for (const v1::TransportInfo& info : transports.Describe()) {
    std::vector<std::string> capabilities(info.capabilities().begin(), info.capabilities().end());
    list.push_back({{"name", info.name()},
                    {"available", info.available()},
                    {"reason", info.reason()},
                    {"capabilities", capabilities},
                    {"modes", std::vector<std::string>(info.modes().begin(), info.modes().end())}});
    if (as_json) continue;
    std::cout << info.name() << ": " << (info.available() ? "available" : "not available: " + info.reason());
    if (info.available())
      std::cout << " (" << absl::StrJoin(capabilities, ", ") << "; modes: " << absl::StrJoin(info.modes(), ", ") << ")";
    std::cout << "\n";
  }
  if (as_json) std::cout << nlohmann::json{{"schema_version", 1}, {"transports", list}}.dump(2) << "\n";
  return 0;
}

int ShowStatus(const Flags& flags) {
  if (flags.control_socket.empty())
    return Fail(absl::InvalidArgumentError("--status needs --control-socket: whom to ask"));
  auto info = AskInfo(flags.control_socket);
  if (!info.ok()) return Fail(info.status());
  auto snapshot = AskSnapshot(flags.control_socket);
  if (!snapshot.ok()) return Fail(snapshot.status());
  if (flags.json) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    std::string info_json, snapshot_json;
    (void)google::protobuf::util::MessageToJsonString(*info, &info_json, options);
    (void)google::protobuf::util::MessageToJsonString(*snapshot, &snapshot_json, options);
    std::cout << "{\"schema_version\":1,\"info\":" << info_json << ",\"snapshot\":" << snapshot_json << "}\n";
    return 0;
  }
  std::cout << "engine " << info->software_version() << ", pid " << info->pid() << ", node "
            << (info->node_id().empty() ? "(none yet)" : info->node_id()) << ", door "
            << FormatHostPort(info->door_address(), static_cast<uint16_t>(info->door_port())) << "\n";
  if (snapshot->lease_in_force()) {
    std::cout << "probing " << snapshot->paths_size() << " paths, lease ends in " << snapshot->lease_left_ms()
              << " ms\n";
  } else {
    std::cout << "not probing: no plan has a lease\n";
  }
  for (const v1::PathResult& path : snapshot->paths())
    std::cout << Printable(path.path_id()) << ": " << PathStateName(path.state())
              << (path.reason().empty() ? "" : " (" + path.reason() + ")") << ", " << path.pings_sent() << " pings, "
              << path.pings_lost() << " lost\n";
  return 0;
}

int Run(const Flags& flags) {
  ShareHeaps();
  SignalStop stop;
  RaiseDescriptorLimit();
  auto listen = ParseHostPort(flags.listen);
  if (!listen.ok()) return Fail(listen.status());
  auto token = FindToken(flags.token_file);
  if (!token.ok()) return Fail(token.status());

  EngineOptions options;
  options.door.host = listen->host;
  options.door.port = listen->port;
  options.door.token = RingOf(*token);
  const TokenWatch watch_token(*token, flags.token_file, options.door.token);
  options.door.insecure = flags.insecure;
  options.inventory = flags.inventory;
  options.pinning = flags.pinning;
  options.pinning.enabled = !flags.no_pin;
  options.listen_on_rails = flags.listen_on_rails;
  auto engine = Engine::Start(std::move(options));
  if (!engine.ok()) return Fail(engine.status());
  std::unique_ptr<ControlServer> control;
  if (!flags.control_socket.empty()) {
    auto started = ControlServer::Start(flags.control_socket, engine->get());
    if (!started.ok()) return Fail(started.status());
    control = *std::move(started);
  }
  spdlog::info("netsense-engine {} answers on {}, token: {}{}", NETSENSE_VERSION,
               FormatHostPort(listen->host, (*engine)->door_port()), token->secret.empty() ? "none" : token->origin,
               control ? ", control socket " + flags.control_socket : "");

  TellReady();
  TellStatus("answers on " + FormatHostPort(listen->host, (*engine)->door_port()));
  Watchdog watchdog;
  while (!SleepUnlessStopped(stop.token(), std::chrono::milliseconds(500))) {
    watchdog.Turn();
    auto since = (*engine)->no_lease_since();
    if (flags.exit_without_lease_s > 0 && since && MillisSince(*since) >= int64_t{flags.exit_without_lease_s} * 1000) {
      spdlog::info("no plan for {} s: leaving", flags.exit_without_lease_s);
      break;
    }
  }
  TellStopping();
  return 0;
}

}  // namespace
}  // namespace netsense

int main(int argc, char** argv) {
  netsense::BeginWithLastWords();
  netsense::Flags flags;
  CLI::App app{
      "netsense-engine measures the network paths of this node when it is told, and answers other nodes' probes.\n"
      "A bridge drives it through --control-socket; without one it only answers."};
  app.footer(
      "Examples:\n"
      "  netsense-engine --listen 10.0.0.1:18590 --token-file /etc/netsense/token --control-socket "
      "/run/netsense/engine.sock\n"
      "  netsense-engine --list-transports --json\n"
      "  netsense-engine --status --control-socket /run/netsense/engine.sock\n"
      "Exit codes: 0 good, 2 usage, 3 could not start or ask.");
  app.add_option("--listen", flags.listen, "the door's ADDRESS:PORT; port 0 takes any free one")->capture_default_str();
  app.add_option("--control-socket", flags.control_socket, "Unix socket in a directory of its own (mode 0700)");
  app.add_option("--token-file", flags.token_file,
                 "file with the cluster's shared token (default: NETSENSE_TOKEN_FILE, then Ray's own places)");
  app.add_option("--exit-without-lease", flags.exit_without_lease_s,
                 "leave when no plan was in force for so many seconds (0: never)");
  app.add_option("--rails", flags.inventory.rails, "ports of rail 0, 1, ... by name or PCI address (default: by rank)")
      ->delimiter(',');
  app.add_option("--topology-override", flags.inventory.topology_override,
                 "topology file (NCCL's format) that says where devices are, where a hypervisor hides it");
  auto* cpus = app.add_option("--cpus", flags.pinning.cpus,
                              "processors of the probing threads, as 0-3,8 (default: those next to the port)");
  app.add_flag("--no-pin", flags.no_pin, "let the probing threads run anywhere")->excludes(cpus);
  app.add_flag("--listen-on-rails", flags.listen_on_rails, "open the door on the addresses of every rail, too");
  app.add_flag("--insecure", flags.insecure, "without a token, serve anyone who can reach the door");
  app.add_flag("--list-transports", flags.list_transports, "say which transports can run here, or why not, and exit");
  app.add_flag("--status", flags.status, "ask the engine on --control-socket what it does, and exit");
  app.add_flag("--json", flags.json, "with --list-transports and --status: one JSON document");
  app.add_option("--log-level", flags.log_level,
                 "trace, debug, info, warn, error, off (default: NETSENSE_LOG_LEVEL, info)");
  app.set_version_flag("--version", "netsense-engine " NETSENSE_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    netsense::SayLastWords(error.what());
    return netsense::kUsage;
  }
  if (auto status = netsense::InitLogging("netsense-engine", flags.log_level); !status.ok())
    return netsense::Fail(status);
  if (flags.list_transports) return netsense::ListTransports(flags.json);
  if (flags.status) return netsense::ShowStatus(flags);
  return netsense::Run(flags);
}
