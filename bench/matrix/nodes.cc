#include "bench/matrix/nodes.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <system_error>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/json_depth.h"
#include "base/logging.h"
#include "base/resolve.h"
#include "base/status_macros.h"
#include "engine/expectation.h"
#include "proto/enum_names.h"

namespace netsense::matrix {
namespace {

// Numeric, the first that there is; or why there is none.
absl::StatusOr<std::string> Resolve(const std::string& host, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto found, ResolveHost(host, 0, MonotonicNow() + deadlines::kNameLookup(), std::move(stop)));
  return AddressText(*found);
}

Node NodeAt(const std::string& host, uint16_t port) {
  return {.name = FormatHostPort(Printable(host), port), .host = host, .port = port};
}

void ResolveOne(Node* node, const std::stop_token& stop) {
  if (!node->reason.empty()) return;
  if (auto address = Resolve(node->host, stop); address.ok())
    node->address = *std::move(address);
  else
    node->reason = Printable(std::string(address.status().message()));
}

// Many names at once, as many as are looked up at a time: each may take seconds.
void ResolveAll(std::vector<Node>* nodes, const std::stop_token& stop) {
  constexpr size_t kAtOnce = 64;
  std::atomic<size_t> next = 0;
  auto resolve = [&] {
    for (size_t i = next++; i < nodes->size(); i = next++) ResolveOne(&(*nodes)[i], stop);
  };
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < std::min(nodes->size(), kAtOnce)) threads.emplace_back(resolve);
  } catch (const std::system_error&) {  // no thread left: it takes longer
  }
  resolve();
}

absl::StatusOr<HostPort> ParseHost(const std::string& text, uint16_t usual_port) {
  const bool has_port = text.find(':') != std::string::npos && !text.ends_with(']');
  return ParseHostPort(has_port ? text : absl::StrCat(text, ":", usual_port));
}

absl::StatusOr<Node> ParseNode(const std::string& text) {
  ASSIGN_OR_RETURN(auto parsed, ParseHost(text, kUsualPort));
  if (parsed.port == 0) return absl::InvalidArgumentError(absl::StrCat(text, ": port 0 cannot be measured"));
  return NodeAt(parsed.host, parsed.port);
}

constexpr size_t kLongestList = 4 << 20;  // 4,096 nodes take some 100 KiB

absl::StatusOr<std::vector<std::string>> LinesOf(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  // It may be a pipe, and need not have an end.
  std::string text(kLongestList + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kLongestList)
    return absl::InvalidArgumentError(absl::StrCat(path, " is longer than a list of nodes"));
  std::vector<std::string> lines;
  std::istringstream list(text);
  for (std::string line; std::getline(list, line);) {
    line = std::string(absl::StripAsciiWhitespace(line.substr(0, line.find('#'))));
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

constexpr size_t kLongestAnswer = 64 << 20;  // 4,096 nodes take some 4 MiB
constexpr double kAnswerPatience = 6;        // times the deadline between two of its pieces, for the whole of it

absl::StatusOr<std::vector<Node>> NodesOfCluster(const std::string& url, const std::string& token,
                                                 const std::stop_token& stop) {
  static const std::string kScheme = "http://";
  if (!url.starts_with(kScheme))
    return absl::InvalidArgumentError(absl::StrCat("--cluster is a URL as http://HEAD:18591, not '", url, "'"));
  httplib::Client client(url);
  // Given no address, it looks the name up by itself, for as long as that takes.
  ASSIGN_OR_RETURN(auto head,
                   ParseHost(url.substr(kScheme.size(), url.find('/', kScheme.size()) - kScheme.size()), 80));
  ASSIGN_OR_RETURN(auto address, Resolve(head.host, stop));
  client.set_hostname_addr_map({{head.host, address}});
  client.set_connection_timeout(deadlines::kClusterAnswer());
  client.set_read_timeout(deadlines::kClusterAnswer());
  httplib::Headers headers;
  if (!token.empty()) headers.emplace("Authorization", "Bearer " + token);
  std::string text;
  const MonotonicTime end = MonotonicNow() + deadlines::kClusterAnswer.Times(kAnswerPatience * TimeScale());
  auto take = [&](const char* data, size_t length) {
    text.append(data, length);
    return text.size() <= kLongestAnswer && MonotonicNow() <= end;
  };
  auto answer = client.Get("/api/v0/network_topology?edges=none", headers, take);
  if (!answer && (text.size() > kLongestAnswer || MonotonicNow() > end))
    return absl::UnavailableError(absl::StrCat(
        url, text.size() > kLongestAnswer ? " answers more than a list of nodes has" : " does not come to an end"));
  if (!answer)
    return absl::UnavailableError(absl::StrCat(url, " does not answer: ", httplib::to_string(answer.error())));
  if (IsNestedDeeper(text)) return absl::UnavailableError(absl::StrCat(url, " answers what is nested too deeply"));
  auto body = nlohmann::json::parse(text, nullptr, false);
  if (answer->status != 200) {
    const auto msg = body.is_object() ? body.find("msg") : body.end();
    const std::string why = msg != body.end() && msg->is_string() ? msg->get<std::string>() : "";
    return absl::UnavailableError(absl::StrCat(url, " answers ", answer->status, ": ", Printable(why)));
  }
  return NodesOfTopology(body, stop);
}

// 0: it has none.
uint16_t PortOf(const nlohmann::json& door) {
  const auto port = door.find("port");
  if (port == door.end() || !port->is_number_integer() || *port < 1 || *port > 65535) return 0;
  return port->get<uint16_t>();
}

v1::FabricKind FabricOf(const Node& node) {
  return node.description.ports_size() > 0 ? node.description.ports(0).fabric() : v1::FABRIC_KIND_UNKNOWN;
}

}  // namespace

absl::StatusOr<std::vector<Node>> NodesOfTopology(const nlohmann::json& answer, const std::stop_token& stop) {
  static const auto kNodes = nlohmann::json::json_pointer("/data/result/nodes");
  if (!answer.is_object() || !answer.contains(kNodes) || !answer.at(kNodes).is_array())
    return absl::InvalidArgumentError("the answer is no network topology");
  std::vector<Node> nodes;
  try {
    for (const nlohmann::json& entry : answer.at(kNodes)) {
      if (!entry.value("alive", true)) continue;
      const nlohmann::json door = entry.value("door", nlohmann::json());
      if (const uint16_t port = PortOf(door); port != 0) {
        // Where the node is, the GCS says; the door's record, which many may write, only says by which port.
        nodes.push_back(NodeAt(entry.value("address", ""), port));
        continue;
      }
      const std::string host = entry.value("address", "");
      Node& node = nodes.emplace_back(NodeAt(host, kUsualPort));
      node.reason = "the cluster knows no door of this node: " + Printable(entry.value("reason", ""));
    }
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("the answer is no network topology: ", Printable(error.what())));
  }
  ResolveAll(&nodes, stop);
  return nodes;
}

absl::StatusOr<std::vector<Node>> FindNodes(const NodeSources& sources, const std::stop_token& stop) {
  std::vector<std::string> hosts = sources.hosts;
  if (!sources.hosts_file.empty()) {
    ASSIGN_OR_RETURN(auto lines, LinesOf(sources.hosts_file));
    hosts.insert(hosts.end(), lines.begin(), lines.end());
  }
  std::vector<Node> found;
  for (const std::string& host : hosts) {
    ASSIGN_OR_RETURN(auto node, ParseNode(host));
    found.push_back(std::move(node));
  }
  ResolveAll(&found, stop);
  if (!sources.cluster.empty()) {
    ASSIGN_OR_RETURN(auto nodes, NodesOfCluster(sources.cluster, sources.token, stop));
    std::move(nodes.begin(), nodes.end(), std::back_inserter(found));
  }
  std::vector<Node> unique;
  std::set<std::string> seen;
  for (Node& node : found)
    if (seen.insert(node.address.empty() ? node.name : FormatHostPort(node.address, node.port)).second)
      unique.push_back(std::move(node));
  return unique;
}

nlohmann::json NodesJson(const std::vector<Node>& nodes) {
  nlohmann::json list = nlohmann::json::array();
  for (const Node& node : nodes) {
    nlohmann::json ports = nlohmann::json::array();
    for (const v1::Port& port : node.description.ports())
      ports.push_back(
          {{"name", port.name()},
           {"netdev", port.netdev()},
           {"fabric", FabricName(port.fabric())},
           {"speed_gbps", port.speed_bps() == 0 ? nlohmann::json(nullptr)
                                                : nlohmann::json(static_cast<double>(port.speed_bps()) / 1e9)},
           {"mtu", port.mtu()},
           {"rdma_device", port.rdma_device()}});
    list.push_back({{"name", node.name},
                    {"address", node.address},
                    {"port", node.port},
                    {"hostname", node.description.hostname()},
                    {"kernel", node.description.kernel()},
                    {"version", node.description.software_version()},
                    {"alive", node.alive},
                    {"reason", node.reason},
                    {"ports", std::move(ports)}});
  }
  return list;
}

std::optional<double> LinkGbps(const Node& node) {
  if (node.description.ports_size() == 0) return {};
  const uint64_t speed = EndOf(node.description.ports(0)).speed_bps;
  return speed == 0 ? std::nullopt : std::optional(static_cast<double>(speed) / 1e9);
}

std::string FabricClass(const std::string& transport, const Node& a, const Node& b) {
  std::string first = FabricName(FabricOf(a)), second = FabricName(FabricOf(b));
  if (first == second) return fmt::format("{}, {}", transport, first);
  return fmt::format("{}, {}-{}", transport, std::min(first, second), std::max(first, second));
}

std::string LinkClass(const std::string& transport, const Node& a, const Node& b) {
  auto speed_a = LinkGbps(a), speed_b = LinkGbps(b);
  if (!speed_a || !speed_b) return FabricClass(transport, a, b);
  return fmt::format("{}, {:g} Gb/s", FabricClass(transport, a, b), std::min(*speed_a, *speed_b));
}

}  // namespace netsense::matrix
