// netsense-bench: measures by hand what the engine measures by plan, and shows the inventory of a machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "base/logging.h"
#include "base/process.h"
#include "bench/command.h"
#include "bench/measure_flags.h"

int main(int argc, char** argv) {
  using namespace netsense;
  CLI::App app{
      "netsense-bench measures round-trip time and bandwidth between hosts by hand, shows what is near to what on one, "
      "and reads what was measured."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "netsense-bench " NETSENSE_VERSION);
  app.footer(
      "Examples:\n"
      "  netsense-bench serve --listen 10.0.0.1:18590 --token-file /etc/netsense/token\n"
      "  netsense-bench ping 10.0.0.1:18590 -t tcp,grpc -n 10000 --token-file /etc/netsense/token\n"
      "  netsense-bench bw 10.0.0.1:18590 -D 10 --expect 90% --json --token-file /etc/netsense/token\n"
      "  netsense-bench matrix 10.0.0.1:18590 10.0.0.2:18590 10.0.0.3:18590 --token-file /etc/netsense/token\n"
      "  netsense-bench topo --svg machine.svg\n"
      "Exit codes: 0 good, 1 below a threshold (matrix: suspects, failures or absent nodes; "
      "compare: slower or failed), 2 usage, 3 could not measure, or not well enough to judge a threshold.");

  const std::array commands = {
      AddServe(app),  AddPing(app), AddBandwidth(app), AddSweep(app),  AddLoaded(app),
      AddMatrix(app), AddTopo(app), AddCompare(app),   AddReport(app),
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kGood : kUsage;
  }
  const auto chosen = std::find_if(commands.begin(), commands.end(), [](const Command& c) { return c.app->parsed(); });
  const auto* log_level = chosen->app->get_option_no_throw("--log-level");
  if (auto status = InitLogging("netsense-bench", log_level != nullptr ? log_level->as<std::string>() : "");
      !status.ok())
    return Fail(status);
  SignalStop stop;
  return chosen->run(stop.token());
}
