#include "raylet_bridge/cli/head_api.h"

#include <fmt/format.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/resolve.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "proto/enum_names.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxAnswer = 512 << 20;

// True where the token may be sent there.
absl::StatusOr<bool> IsTheHeads(GcsClient& gcs, const std::string& host) {
  if (auto own = ParseHostPort(gcs.address(), "the GCS"); own.ok() && own->host == host) return true;
  ASSIGN_OR_RETURN(auto nodes, gcs.AliveNodes());
  for (const ClusterNode& node : nodes)
    if (node.is_head && node.address == host) return true;
  return false;
}

const Json& At(const Json& object, const char* key) {
  static const Json kNone;
  auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

v1::PathState StateAt(const Json& object) {
  return ParsePathState(StringAt(object, "state").value_or("")).value_or(v1::PATH_STATE_UNKNOWN);
}

ClusterNode ParseNode(const Json& object) {
  ClusterNode node;
  node.node_id = StringAt(object, "node_id").value_or("");
  node.address = StringAt(object, "address").value_or("");
  node.hostname = StringAt(object, "hostname").value_or("");
  node.alive = At(object, "alive") == true;
  node.is_head = At(object, "is_head") == true;
  return node;
}

TopologyNode ParseTopologyNode(const Json& object) {
  TopologyNode node;
  node.node = ParseNode(object);
  if (auto door = ParseDoorRecord(DumpJson(At(object, "door")), node.node.node_id); door.ok())
    node.door = *std::move(door);
  node.report_ts_ms = IntegerAt(object, "last_report_ts_ms");
  node.report_age_ms = IntegerAt(object, "report_age_ms");
  node.num_out_edges = IntegerAt(object, "num_out_edges").value_or(0);
  node.state = StateAt(object);
  node.reason = StringAt(object, "reason").value_or("");
  node.reachable = At(object, "reachable") == true;
  return node;
}

TopologyLost ParseLost(const Json& object) {
  return {
      {ParseNode(object), StringAt(object, "reason").value_or(""), IntegerAt(object, "lost_since_ms").value_or(0), {}},
      IntegerAt(object, "lost_age_ms").value_or(0)};
}

std::optional<SlowEdge> ParseSlow(const Json& object) {
  if (!object.is_object()) return {};
  return SlowEdge{NumberAt(object, "bw_times"), NumberAt(object, "rtt_times"), StringAt(object, "reason").value_or("")};
}

}  // namespace

absl::StatusOr<std::optional<HostPort>> FindHeadApi(GcsClient& gcs) {
  ASSIGN_OR_RETURN(auto text, gcs.Get(kHttpApiKey));
  const Json api = ParseJson(text.value_or(""));
  if (!api.is_object()) return std::nullopt;
  const std::string host = StringAt(api, "address").value_or("");
  const int64_t port = IntegerAt(api, "port").value_or(0);
  if (host.empty() || port < 1 || port > 65535) return std::nullopt;
  ASSIGN_OR_RETURN(auto trusted, IsTheHeads(gcs, host));
  return trusted ? std::optional(HostPort{host, static_cast<uint16_t>(port)}) : std::nullopt;
}

absl::StatusOr<Topology> AskHeadApi(const HostPort& api, const std::string& token_file) {
  ASSIGN_OR_RETURN(auto token, FindToken(token_file));
  httplib::Client client(api.host, api.port);
  // Given no address, it looks the name up by itself, for as long as that takes.
  ASSIGN_OR_RETURN(auto found, ResolveHost(api.host, api.port, MonotonicNow() + deadlines::kNameLookup(), {}));
  client.set_hostname_addr_map({{api.host, AddressText(*found)}});
  client.set_connection_timeout(deadlines::kHttpRequest());
  client.set_read_timeout(deadlines::kClusterAnswer());
  httplib::Headers headers;
  if (!token.secret.empty()) headers.emplace("Authorization", "Bearer " + TokenToShow(token));
  std::string body;
  auto answer = client.Get("/api/v0/network_topology", headers, [&body](const char* data, size_t size) {
    body.append(data, size);
    return body.size() <= kMaxAnswer;
  });
  const std::string where = FormatHostPort(api.host, api.port);
  if (!answer)
    return absl::UnavailableError(
        fmt::format("the head's HTTP API at {} does not answer ({})", where, httplib::to_string(answer.error())));
  if (answer->status == 413) return absl::ResourceExhaustedError("the cluster is too large for one document");
  if (answer->status != 200)
    return absl::UnavailableError(fmt::format("the head's HTTP API at {} answers with HTTP {}", where, answer->status));
  auto topology = ParseTopologyDocument(body);
  if (!topology.ok())
    return absl::UnavailableError(
        fmt::format("the head's HTTP API at {}: {}", where, std::string(topology.status().message())));
  return topology;
}

absl::StatusOr<Topology> ParseTopologyDocument(const std::string& body) {
  const Json envelope = ParseJson(body);
  static const Json kNone;
  const bool has_data = envelope.is_object() && At(envelope, "data").is_object();
  const Json& payload = has_data ? At(At(envelope, "data"), "result") : kNone;
  if (!payload.is_object() || At(payload, "schema_version") != 1 || !At(payload, "nodes").is_array() ||
      !At(payload, "edges").is_array())
    return absl::InvalidArgumentError("the answer is no topology of schema_version 1");
  Topology topology;
  topology.generated_at_ms = IntegerAt(payload, "generated_at_ms").value_or(0);
  topology.message = StringAt(envelope, "msg").value_or("");
  for (const Json& object : At(payload, "nodes"))
    if (IsNodeId(StringAt(object, "node_id").value_or(""))) topology.nodes.push_back(ParseTopologyNode(object));
  std::set<std::string> known;
  for (const TopologyNode& node : topology.nodes) known.insert(node.node.node_id);
  for (const Json& object : At(payload, "edges")) {
    TopologyEdge edge{StringAt(object, "src_node_id").value_or(""), IntegerAt(object, "report_ts_ms"),
                      IntegerAt(object, "age_ms"), EdgeFromJson(object), ParseSlow(At(object, "slow"))};
    if (!known.contains(edge.src_node_id) || !known.contains(edge.edge.dst_node_id))
      return absl::InvalidArgumentError("an edge of the answer is between nodes that it does not name");
    topology.edges.push_back(std::move(edge));
  }
  // A head of an earlier release does not judge.
  if (!payload.contains("num_slow_edges")) MarkSlowEdges(&topology);
  if (At(payload, "lost_nodes").is_array())
    for (const Json& object : At(payload, "lost_nodes")) topology.lost.push_back(ParseLost(object));
  if (At(payload, "warnings").is_array())
    for (const Json& warning : At(payload, "warnings"))
      if (warning.is_string()) topology.warnings.push_back(warning.get<std::string>());
  return topology;
}

}  // namespace netsense
