// netsense-bridge: follows the cluster, drives this node's engine, reports its edges, and shows everybody's.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/flag_checks.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "raylet_bridge/bridge.h"
#include "raylet_bridge/cli/commands.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {
namespace {

struct Arguments {
  BridgeOptions run;
  GcsAccess gcs;
  StatusStyle style;
  std::string settings_file;
  std::map<std::string, std::string> setting_flags;
  double watch_seconds = 0;
  int raylet_pid = 0;
  bool wait_for_raylet = false;
  bool json = false;
  bool unset_all = false;
  std::string state_file, metrics_sd_file;
  std::string key, value, log_level;
};

void AddSettings(CLI::App* app, Arguments& arguments) {
  app->add_option("--settings", arguments.settings_file, "JSON file of settings; flags and environment go before it");
  for (const SettingDescription& setting : DescribeSettings()) {
    std::string dashed = absl::StrReplaceAll(setting.name, {{"_", "-"}});
    app->add_option_function<std::string>(
           "--" + dashed + ",--" + setting.name,
           [&arguments, name = setting.name](const std::string& text) { arguments.setting_flags[name] = text; },
           setting.help)
        ->default_str(setting.default_value)
        ->group("Settings (also NETSENSE_*, RAY_network_sense_*, --settings, and `config set` for the whole cluster)");
  }
}

void AddTokenFile(CLI::App* app, Arguments& arguments) {
  app->add_option("--token-file", arguments.gcs.token_file,
                  "file with the cluster's shared token (default: NETSENSE_TOKEN_FILE, then Ray's own places)");
}

void AddGcs(CLI::App* app, Arguments& arguments) {
  app->add_option("--gcs-address", arguments.gcs.address, "HOST:PORT (default: RAY_ADDRESS, then Ray's own places)");
  AddTokenFile(app, arguments);
}

void AddRun(CLI::App* app, Arguments& arguments) {
  AddGcs(app, arguments);
  app->add_flag("--standalone", arguments.run.identity.standalone, "without Ray: meet at a head's embedded GCS");
  app->add_flag("--head", arguments.run.identity.head, "with --standalone: serve the embedded GCS and the HTTP API");
  app->add_option("--node-ip", arguments.run.identity.node_ip, "this node's address; with Ray it chooses the raylet");
  app->add_option("--node-name", arguments.run.identity.node_name,
                  "with --standalone: the name shown (default: the host's)");
  app->add_option("--raylet-pid", arguments.raylet_pid, "which raylet, where several run")->check(NumberAboveZero());
  app->add_flag("--wait-for-raylet", arguments.wait_for_raylet,
                "where no such raylet runs yet, wait for it (with --standalone: nothing to wait for)");
  app->add_option("--gcs-listen", arguments.run.gcs_listen,
                  "with --head: ADDRESS:PORT of the embedded GCS (default: the node's address, port 18592)");
  app->add_flag(
      "--gcs-allow-plain", arguments.run.gcs_allow_plain,
      "with --standalone, while a cluster is upgraded: meet bridges of older releases, whose calls show the token "
      "in clear text");
  app->add_option("--state-file", arguments.state_file,
                  "with --head: where to keep which nodes the cluster has, and its settings, or `off` (default: in "
                  "$STATE_DIRECTORY, $XDG_STATE_HOME/netsense or ~/.local/state/netsense)");
  app->add_option("--http-listen", arguments.run.http_listen,
                  "ADDRESS:PORT of the HTTP API (default: the node's address, port 18591)");
  app->add_option("--http-name", arguments.run.http_names,
                  "without a token: a name by which readers ask for it, `*` for any (default: addresses, localhost and "
                  "the host's own name alone)");
  app->add_option("--metrics-sd-file", arguments.metrics_sd_file,
                  "where to tell Prometheus of all bridges (file_sd), or `off` (default: a head's with Ray, beside "
                  "Ray's own prom_metrics_service_discovery.json; none without Ray)")
      ->take_last();  // the service's own file gives one already
  app->add_option("--cluster-name", arguments.run.cluster_name,
                  "what that file calls this cluster, where several share a Prometheus (default: the GCS's address)");
  app->add_flag("--insecure", arguments.run.insecure, "without a token, serve anyone who can reach this node's ports");
  app->add_option("--engine", arguments.run.engine_program,
                  "netsense-engine (default: beside this program, then PATH)");
  app->add_option("--engine-socket", arguments.run.engine_socket, "drive the engine that lives there, and start none");
  AddSettings(app, arguments);
}

void AddStatus(CLI::App* app, Arguments& arguments) {
  AddGcs(app, arguments);
  app->add_flag("--json", arguments.json, "one JSON document, the HTTP API's payload");
  app->add_flag("--all", arguments.style.all, "the matrices also where there are more than 16 nodes");
  app->add_flag("--rtt-only", arguments.style.rtt_only, "no bandwidth matrix");
  app->add_option("--watch", arguments.watch_seconds, "draw again each SECONDS (2) until Ctrl-C")
      ->expected(0, 1)
      ->default_str("2")
      ->check(NumberBetween(0.1, 3600));
  app->add_flag("--allow-slow", arguments.style.allow_slow,
                "exit with 0 although edges are slow beside others, as where some nodes are farther away");
  app->add_option("--expect-nodes", arguments.style.expected_nodes, "exit with 1 where fewer nodes are alive")
      ->check(CLI::Range(1, 100000));
  app->footer(
      "Exit codes: 0 all edges OK, 1 some edge is not, or a node is lost or missing, 2 usage, 3 could not ask the "
      "GCS.");
}

absl::StatusOr<SettingsSources> Sources(const Arguments& arguments) {
  SettingsSources sources{arguments.setting_flags, SettingsFromEnvironment(), {}, {}};
  if (arguments.settings_file.empty()) return sources;
  std::ifstream file(arguments.settings_file);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read the settings file ", arguments.settings_file));
  ASSIGN_OR_RETURN(sources.file, ParseSettingsJson(text.str(), arguments.settings_file));
  return sources;
}

int Run(Arguments& arguments, const SettingsSources& sources) {
  ShareHeaps();
  SignalStop stop;
  RaiseDescriptorLimit();
  BridgeOptions& options = arguments.run;
  options.sources = sources;
  options.identity.gcs_address = arguments.gcs.address;
  if (arguments.raylet_pid != 0) options.identity.raylet_pid = arguments.raylet_pid;
  options.token_file = arguments.gcs.token_file;
  options.log_level = arguments.log_level;
  options.state_file = ParseFilePlace(arguments.state_file);
  options.metrics_sd_file = ParseFilePlace(arguments.metrics_sd_file);
  if (arguments.wait_for_raylet) WaitForRaylet(options.identity, stop.token());
  if (stop.token().stop_requested()) return 0;
  auto status = RunBridge(options, stop.token());
  return status.ok() ? 0 : FailCommand(status);
}

int ShowStatus(const Arguments& arguments, const SettingsSources& sources, bool watch) {
  SignalStop stop;
  StatusOptions options{arguments.gcs, sources, arguments.style, arguments.json, std::nullopt};
  if (watch) options.watch = std::chrono::milliseconds(static_cast<int64_t>(arguments.watch_seconds * 1000));
  return RunStatus(options, stop.token());
}

}  // namespace
}  // namespace netsense

int main(int argc, char** argv) {
  using namespace netsense;
  Arguments arguments;
  CLI::App app{
      "netsense-bridge follows a cluster's nodes, drives this node's netsense-engine, and shows what all engines "
      "measured."};
  app.footer(
      "Examples:\n"
      "  netsense-bridge run --network-sense-enabled true                  beside a raylet\n"
      "  netsense-bridge run --standalone --head --node-ip 10.0.0.1        a cluster without Ray: its head\n"
      "  netsense-bridge run --standalone --gcs-address 10.0.0.1:18592     and each other node\n"
      "  netsense-bridge status --watch\n"
      "  netsense-bridge forget 435685b8                                   a node that will not come back\n"
      "  netsense-bridge config set network_sense_enabled true             for the whole cluster\n"
      "  netsense-bridge token rotate --token-file /etc/netsense/token     a new token, while the cluster runs\n"
      "`netsense-bridge SUBCOMMAND --help` says more.");
  app.set_version_flag("--version", "netsense-bridge " NETSENSE_VERSION);
  app.add_option("--log-level", arguments.log_level,
                 "trace, debug, info, warn, error, off (default: NETSENSE_LOG_LEVEL, info)");
  app.require_subcommand(1);
  app.fallthrough();
  CLI::App* run = app.add_subcommand("run", "be the bridge of this node");
  AddRun(run, arguments);
  CLI::App* status = app.add_subcommand("status", "show which nodes reach which, and how fast");
  AddStatus(status, arguments);
  CLI::App* forget = app.add_subcommand("forget", "forget a node that is LOST and will not come back");
  AddGcs(forget, arguments);
  forget->add_option("NODE", arguments.key, "its id (or the digits that status shows), host name or address")
      ->required();
  CLI::App* token = app.add_subcommand("token", "change the cluster's token while it runs");
  token->require_subcommand(1);
  CLI::App* rotate = token->add_subcommand("rotate", "give this node a new token; the one before is taken for an hour");
  AddTokenFile(rotate, arguments);
  rotate->add_option("--next", arguments.value,
                     "FILE with the new one, - for standard input (default: make one up, on the first node)");
  CLI::App* config = app.add_subcommand("config", "show the settings, or change the cluster's");
  AddGcs(config, arguments);
  AddSettings(config, arguments);
  config->add_flag("--json", arguments.json, "one JSON document");
  config->require_subcommand(0, 1);
  config->fallthrough();
  CLI::App* set = config->add_subcommand("set", "set one setting of the whole cluster");
  set->add_option("KEY", arguments.key, "network_sense_tick_ms, say")->required();
  set->add_option("VALUE", arguments.value)->required();
  CLI::App* unset = config->add_subcommand("unset", "remove one setting of the whole cluster, or all");
  unset->add_option("KEY", arguments.key);
  unset->add_flag("--all", arguments.unset_all, "remove them all");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (auto logging = InitLogging("netsense-bridge", arguments.log_level); !logging.ok()) return FailCommand(logging);
  auto sources = Sources(arguments);
  if (!sources.ok()) return FailCommand(sources.status());
  if (run->parsed()) return Run(arguments, *sources);
  if (status->parsed()) return ShowStatus(arguments, *sources, status->count("--watch") > 0);
  if (forget->parsed()) return ForgetNode(arguments.gcs, arguments.key);
  if (rotate->parsed()) return RotateToken(arguments.gcs.token_file, arguments.value);
  if (set->parsed()) return SetConfig(arguments.gcs, arguments.key, arguments.value);
  if (!unset->parsed()) return ShowConfig(arguments.gcs, *sources, arguments.json);
  if (arguments.unset_all == !arguments.key.empty())
    return FailCommand(absl::InvalidArgumentError("config unset takes a KEY, or --all"));
  return arguments.unset_all ? ClearConfig(arguments.gcs) : UnsetConfig(arguments.gcs, arguments.key);
}
