// One run of the matrix, from asking the nodes whether they are there to the exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "bench/matrix/blame_search.h"
#include "bench/matrix/nodes.h"
#include "bench/matrix/runner.h"
#include "bench/measure_flags.h"

namespace netsense::matrix {

struct Flags {
  DoorFlags door;
  NodeSources sources;
  Settings settings;
  SlowRules rules;
  double slow_below_percent = 50;
  uint32_t timeout_ms = 2000;
  uint32_t repeat = 1;
  std::optional<double> deadline_s;
  std::optional<uint64_t> bytes;
  std::optional<double> duration_s;
  bool busy_poll = false;
  bool no_ping = false, no_bandwidth = false;
  bool json = false;
  bool dry_run = false;
  std::string jsonl, resume;
};

// Prints tables or the document to stdout, what goes on to stderr. Blocks until done or `stop`.
int RunMatrix(const Flags& flags, std::vector<Node> nodes, const std::stop_token& stop);

}  // namespace netsense::matrix
