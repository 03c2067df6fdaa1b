// `netsense-bench matrix`: its flags, and what they must not be.
#include "bench/command.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/flag_checks.h"
#include "base/host_port.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "bench/matrix/nodes.h"
#include "bench/matrix/run.h"

namespace netsense {
namespace matrix {
namespace {

int Matrix(Flags flags, const std::stop_token& stop) {
  if (flags.json && flags.jsonl == "-")
    return Fail(absl::InvalidArgumentError("--json and --jsonl - both write to stdout: take one of them"));
  auto token = FindToken(flags.door.token_file);
  if (!token.ok()) return Fail(token.status());
  flags.settings.token = RingOf(*token);
  flags.sources.token = TokenToShow(*token);
  flags.settings.timeout = std::chrono::milliseconds(flags.timeout_ms);
  flags.settings.ping = !flags.no_ping;
  flags.settings.bandwidth = !flags.no_bandwidth;
  flags.settings.wait_mode = flags.busy_poll ? v1::WAIT_MODE_BUSY_POLL : v1::WAIT_MODE_BLOCK;
  flags.rules.slow_below = flags.slow_below_percent / 100;
  auto nodes = FindNodes(flags.sources, stop);
  if (!nodes.ok()) return Fail(nodes.status());
  if (nodes->size() < 2)
    return Fail(absl::InvalidArgumentError("a matrix has two nodes or more: name them, or give --hosts or --cluster"));
  auto is_here = [](const Node& node) { return IsLoopback(node.address); };
  const bool all_here = std::all_of(nodes->begin(), nodes->end(), is_here);
  if (auto here = std::find_if(nodes->begin(), nodes->end(), is_here); here != nodes->end() && !all_here)
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        here->name, " is ", here->address, " on this host, where no other node reaches it: give it another address")));
  if (token->secret.empty() && !flags.door.insecure && !all_here)
    return Fail(absl::InvalidArgumentError(
        "no token to prove who we are: give --token-file (the same token as the nodes'), or --insecure if they serve "
        "without one"));
  return RunMatrix(flags, *std::move(nodes), stop);
}

}  // namespace
}  // namespace matrix

Command AddMatrix(CLI::App& program) {
  auto flags = std::make_shared<matrix::Flags>();
  CLI::App* app = program.add_subcommand(
      "matrix", "every pair of nodes, without MPI or SSH: who is slow, the node or the link between two");
  app->footer(
      "On each node an engine or `netsense-bench serve` runs. Engines give a share of their ports only, and streams "
      "of\n"
      "few bytes; `serve` has no such limit. Bad pairs are measured again, alone, and then with a good partner.\n"
      "Exit codes: 0 good, 1 suspects, failures or nodes that are not there, 2 usage,\n"
      "3 could not measure, interrupted and good so far, or nothing to judge by (two nodes: see --no-ping).");
  AddDoorFlags(app, &flags->door);
  app->add_option("nodes", flags->sources.hosts, "HOST:PORT of each node's door (port 18590 where none is given)");
  app->add_option("--hosts", flags->sources.hosts_file, "file with one node a line; # starts a comment")
      ->check(CLI::ExistingFile);
  app->add_option("--cluster", flags->sources.cluster, "all nodes of a cluster: http://HEAD:18591");
  app->add_option("-t,--transport", flags->settings.transports, "transports to measure, one after another")
      ->delimiter(',')
      ->capture_default_str();
  app->add_option("--mode", flags->settings.mode,
                  absl::StrCat("one of the transport's ways (", ModesInWords(TransportRegistry()), ")"));
  app->add_option("-s,--size", flags->settings.payload_bytes, "payload bytes of a ping, each way")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  app->add_option("--pings", flags->settings.pings, "pings of a pair")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app->add_option("--warmup", flags->settings.warmup, "pings before the first that counts")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  auto* bytes = app->add_option("--bytes", flags->bytes, "bytes of one stream (default with engines: 16 MiB)")
                    ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  app->add_option("-D,--duration", flags->duration_s, "seconds of one stream (default: 0.5)")
      ->check(NumberBetween(0.01, 3600))
      ->excludes(bytes);
  auto* no_ping = app->add_flag("--no-ping", flags->no_ping, "bandwidth only");
  app->add_flag("--no-bw", flags->no_bandwidth, "round trips only")->excludes(no_ping);
  app->add_flag("--busy-poll", flags->busy_poll, "spin while waiting (`serve` only; a processor for each pair)");
  app->add_option("--slow-below", flags->slow_below_percent,
                  "percent of what is usual in its class, or of the expected rate, below which bandwidth is bad")
      ->check(NumberBetween(1, 99))
      ->capture_default_str();
  app->add_option(
         "--rtt-factor", flags->rules.rtt_factor,
         "times what is usual in its class above which a round trip is bad (if 9 of 10 usual ones are shorter)")
      ->check(NumberBetween(1.1, 1000))
      ->capture_default_str();
  app->add_option("--repeat", flags->repeat, "whole runs over all pairs: what noise is, compare learns from them")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--deadline", flags->deadline_s,
                  "seconds after which it ends, whatever hangs (default: ten times what --dry-run says, and a minute)")
      ->check(NumberBetween(0.1, 1e7));
  app->add_option("--timeout", flags->timeout_ms, "milliseconds in which a node has to answer")
      ->check(CLI::Range(10, 60000))
      ->capture_default_str();
  app->add_flag("--dry-run", flags->dry_run, "only say how long it will take");
  app->add_flag("--json", flags->json, "one JSON document on stdout");
  app->add_option("--jsonl", flags->jsonl, "write each result into this file as soon as it is there (- is stdout)");
  app->add_option("--resume", flags->resume, "go on with an earlier run: a document, or JSON Lines, which then grow")
      ->check(CLI::ExistingFile);
  return {app, [flags](const std::stop_token& stop) { return matrix::Matrix(*flags, stop); }};
}

}  // namespace netsense
