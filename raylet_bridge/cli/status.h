// The topology as a person reads it, and as `netsense-bridge status --json` prints it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "raylet_bridge/cluster/topology.h"

namespace netsense {

struct StatusStyle {
  bool color = false;
  bool all = false;                         // the matrices also where there are more than 16 nodes
  bool rtt_only = false;                    // no bandwidth matrix
  std::optional<int64_t> expected_nodes{};  // as many as must be alive
  bool allow_slow = false;                  // edges that are slow are no failure
};

// `N/M reachable`, a line per node and per lost one, every bad edge with state, age and reason, the slow ones with what
// is usual, and the matrices of medians (row measures column). With more than 16 nodes only the bad nodes and edges.
// What other hosts wrote is escaped.
std::string RenderStatus(const Topology& topology, const StatusStyle& style);

// PAYLOAD of docs/architecture.md and "reachable":{"n","m"}, nodes.
std::string StatusJson(const Topology& topology);

// 0: there are nodes (as many as are expected, or more), none is lost, and every edge is OK and none slow (or that is
// allowed); 1: not so, or nothing is known.
int StatusExitCode(const Topology& topology, const StatusStyle& style = {});

// "312 ms", "12.3 s", "5 min 3 s", "2 h 5 min".
std::string FormatAge(int64_t ms);

}  // namespace netsense
