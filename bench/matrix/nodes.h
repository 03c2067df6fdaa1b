// The nodes of a matrix: where their names come from, and what each said of itself.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "netsense/order.pb.h"

namespace netsense::matrix {

inline constexpr uint16_t kUsualPort = 18590;

struct Node {
  std::string name;  // "10.0.0.1:18590", as rows, `nodes` and suspects call it
  std::string host;  // as it was given
  uint16_t port = 0;
  std::string address = {};  // numeric; empty = the name cannot be resolved
  bool alive = false;
  std::string reason = {};  // why not
  v1::NodeDescription description = {};
};

struct NodeSources {
  std::vector<std::string> hosts;  // "HOST:PORT", or "HOST" for the usual port
  std::string hosts_file;          // one a line; '#' starts a comment
  std::string cluster;             // "http://HEAD:18591": the head bridge's HTTP API
  std::string token;               // for that; empty = none
};

// All of them, each once, in the order given. InvalidArgument for what cannot be read; Unavailable when the cluster
// does not answer. Resolves names; one that cannot be resolved is a node that is not alive, with the reason. Blocks for
// at most twice deadlines::kClusterAnswer for the cluster, and deadlines::kNameLookup for each round of names.
absl::StatusOr<std::vector<Node>> FindNodes(const NodeSources& sources, const std::stop_token& stop);

// Of the head bridge's answer to GET /api/v0/network_topology; nodes that the cluster itself counts as dead are left
// out.
absl::StatusOr<std::vector<Node>> NodesOfTopology(const nlohmann::json& answer, const std::stop_token& stop = {});

// Entries of the document's `nodes`.
nlohmann::json NodesJson(const std::vector<Node>& nodes);

// Link rate of the port that a node is measured by; none = not known, or a virtual device's.
std::optional<double> LinkGbps(const Node& node);
// What two nodes' links have in common with other pairs: "tcp, ethernet", and with the speed "tcp, ethernet, 100 Gb/s".
std::string FabricClass(const std::string& transport, const Node& a, const Node& b);
std::string LinkClass(const std::string& transport, const Node& a, const Node& b);

}  // namespace netsense::matrix
