#include "raylet_bridge/cli/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/logging.h"
#include "base/plain_transport.h"
#include "proto/enum_names.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

constexpr size_t kManyNodes = 16;
constexpr size_t kMostSlow = 16;  // edges that are listed
constexpr size_t kShortId = 8;
constexpr size_t kMaxLabel = 24;
constexpr double kMicrosecondsBelowMs = 10;  // a table whose round trips all lie below is shown in microseconds
constexpr char kRed[] = "31", kGreen[] = "32", kYellow[] = "33", kBold[] = "1";

std::string Paint(const std::string& text, const char* color, const StatusStyle& style) {
  return style.color ? fmt::format("\x1b[{}m{}\x1b[0m", color, text) : text;
}

const char* ColorOf(v1::PathState state) {
  if (state == v1::PATH_STATE_OK) return kGreen;
  return state == v1::PATH_STATE_DEGRADED || state == v1::PATH_STATE_STALE ? kYellow : kRed;
}

// Names that tell the nodes apart: host names when they all differ, else addresses when those do, else short ids.
std::map<std::string, std::string> Labels(const Topology& topology) {
  auto distinct = [&topology](auto name_of) -> std::optional<std::map<std::string, std::string>> {
    std::map<std::string, std::string> labels, used;
    for (const TopologyNode& node : topology.nodes) {
      std::string name = Printable(name_of(node.node)).substr(0, kMaxLabel);
      if (name.empty() || !used.emplace(name, "").second) return std::nullopt;
      labels[node.node.node_id] = name;
    }
    return labels;
  };
  if (auto labels = distinct([](const ClusterNode& node) { return node.hostname; })) return *labels;
  if (auto labels = distinct([](const ClusterNode& node) { return node.address; })) return *labels;
  std::map<std::string, std::string> labels;
  for (const TopologyNode& node : topology.nodes) labels[node.node.node_id] = node.node.node_id.substr(0, kShortId);
  return labels;
}

// "tcp", "tcp on rail 3"; empty for an edge that nobody reported.
std::string WayOf(const ReportEdge& edge) {
  if (edge.transport.empty()) return "";
  return edge.rail ? fmt::format("{} on rail {}", Printable(edge.transport), *edge.rail) : Printable(edge.transport);
}

// " from mlx5_0 to mlx5_3" where the two are on different rails.
std::string Crossing(const ReportEdge& edge) {
  return edge.cross_rail ? fmt::format(" from {} to {}", Printable(edge.src_port), Printable(edge.dst_port)) : "";
}

// The topology once per transport and rail, in the order of their first edges; an edge that nobody reported stands in
// each. What was tried between two different rails is in no table.
std::vector<std::pair<std::string, Topology>> ByWay(const Topology& topology) {
  std::vector<std::pair<std::string, Topology>> parts;
  auto part_of = [&parts](const std::string& name) {
    return std::find_if(parts.begin(), parts.end(), [&name](const auto& part) { return part.first == name; });
  };
  for (const TopologyEdge& edge : topology.edges)
    if (const std::string way = WayOf(edge.edge); !way.empty() && !edge.edge.cross_rail && part_of(way) == parts.end())
      parts.emplace_back(way, Topology{});
  if (parts.empty()) parts.emplace_back(kPlainTransport, Topology{});
  for (const TopologyEdge& edge : topology.edges)
    for (auto& [name, part] : parts)
      if (!edge.edge.cross_rail && (edge.edge.transport.empty() || WayOf(edge.edge) == name))
        part.edges.push_back(edge);
  return parts;
}

struct PairTable {
  std::string title;
  std::map<std::pair<std::string, std::string>, std::string> cells;  // by source and destination; text alone
  std::map<std::pair<std::string, std::string>, const char*> colors;
  std::string legend;
};

std::string ShortState(v1::PathState state) {
  if (state == v1::PATH_STATE_UNREACHABLE) return "UNREACH";
  if (state == v1::PATH_STATE_VERSION_MISMATCH) return "VERSION";
  return PathStateName(state);
}

// `value_of` gives the figure in the table's unit, `is_slow` whether it carries the mark.
template <typename ValueOf, typename IsSlow>
void FillTable(const Topology& topology, PairTable& table, int digits, ValueOf value_of, IsSlow is_slow) {
  for (const TopologyEdge& edge : topology.edges) {
    std::pair key(edge.src_node_id, edge.edge.dst_node_id);
    if (edge.edge.state != v1::PATH_STATE_OK) {
      table.cells[key] = ShortState(edge.edge.state);
      table.colors[key] = ColorOf(edge.edge.state);
      continue;
    }
    const std::optional<double> value = value_of(edge.edge);
    const bool slow = value && edge.slow && is_slow(*edge.slow);
    table.cells[key] = value ? fmt::format("{:.{}f}{}", *value, digits, slow ? "*" : "") : "?";
    if (!slow) continue;
    table.colors[key] = kYellow;
    table.legend = "* slow beside others of its class";
  }
}

PairTable RttTable(const Topology& topology, const std::string& transport) {
  bool small = true;
  for (const TopologyEdge& edge : topology.edges)
    small = small && edge.edge.rtt_p50_ms.value_or(0) < kMicrosecondsBelowMs;
  const double scale = small ? 1000 : 1;
  PairTable table{
      fmt::format("Round-trip time over {}, median, in {} (row measures column)", transport, small ? "µs" : "ms"),
      {},
      {},
      ""};
  FillTable(
      topology, table, small ? 1 : 3,
      [scale](const ReportEdge& edge) -> std::optional<double> {
        if (!edge.rtt_p50_ms) return std::nullopt;
        return *edge.rtt_p50_ms * scale;
      },
      [](const SlowEdge& slow) { return slow.rtt_times.has_value(); });
  return table;
}

std::optional<PairTable> BandwidthTable(const Topology& topology, const std::string& transport) {
  if (std::none_of(topology.edges.begin(), topology.edges.end(),
                   [](const auto& edge) { return edge.edge.bw_probes > 0; }))
    return std::nullopt;
  PairTable table{fmt::format("Bandwidth over {}, median, in Gb/s (row sends to column)", transport), {}, {}, ""};
  FillTable(
      topology, table, 3,
      [](const ReportEdge& edge) -> std::optional<double> {
        if (!edge.bw_p50_mbps) return std::nullopt;
        return *edge.bw_p50_mbps / 1000;
      },
      [](const SlowEdge& slow) { return slow.bw_times.has_value(); });
  return table;
}

std::string RenderTable(const Topology& topology, const std::map<std::string, std::string>& labels,
                        const PairTable& table, const StatusStyle& style) {
  size_t head = 0, width = 9;
  for (const auto& [id, label] : labels) head = std::max(head, label.size());
  width = std::max(width, head);
  std::string text = Paint(table.title, kBold, style) + "\n  " + std::string(head, ' ');
  for (const TopologyNode& node : topology.nodes) text += fmt::format("  {:>{}}", labels.at(node.node.node_id), width);
  text += "\n";
  for (const TopologyNode& src : topology.nodes) {
    text += fmt::format("  {:<{}}", labels.at(src.node.node_id), head);
    for (const TopologyNode& dst : topology.nodes) {
      std::pair key(src.node.node_id, dst.node.node_id);
      auto cell = table.cells.find(key);
      std::string padded = fmt::format("{:>{}}", cell == table.cells.end() ? "-" : cell->second, width);
      auto color = table.colors.find(key);
      text += "  " + (color == table.colors.end() ? padded : Paint(padded, color->second, style));
    }
    text += "\n";
  }
  if (!table.legend.empty()) text += "  " + table.legend + "\n";
  return text;
}

std::string RenderNode(const TopologyNode& node, const std::string& label, size_t width, const StatusStyle& style) {
  const std::string& other_name = label == node.node.address ? node.node.hostname : node.node.address;
  std::string text =
      fmt::format("  {:<{}}  {:<15}  {}  ", label, width, Printable(other_name), node.node.node_id.substr(0, kShortId));
  text += Paint(PathStateName(node.state), ColorOf(node.state), style);
  if (node.report_age_ms) text += fmt::format("  report {} old", FormatAge(*node.report_age_ms));
  if (!node.reachable) text += "  " + Paint("not reachable", kRed, style);
  if (node.node.is_head) text += "  head";
  if (!node.reason.empty()) text += "  " + Printable(node.reason);
  return text + "\n";
}

// "node1 -> node2 over tcp on rail 3".
std::string NameOf(const TopologyEdge& edge, const std::map<std::string, std::string>& labels) {
  const ReportEdge& e = edge.edge;
  return fmt::format("{} -> {}{}", labels.at(edge.src_node_id), labels.at(e.dst_node_id),
                     e.transport.empty() ? "" : " over " + WayOf(e) + Crossing(e));
}

std::string RenderBadEdge(const TopologyEdge& edge, const std::map<std::string, std::string>& labels,
                          const StatusStyle& style) {
  const ReportEdge& e = edge.edge;
  std::string text =
      fmt::format("  {}  {}", NameOf(edge, labels), Paint(PathStateName(e.state), ColorOf(e.state), style));
  if (e.state_age_ms && e.state != v1::PATH_STATE_STALE) text += " for " + FormatAge(*e.state_age_ms);
  text += fmt::format(", last OK {}", e.last_ok_age_ms ? FormatAge(*e.last_ok_age_ms) + " ago" : "never");
  if (edge.age_ms) text += fmt::format(", report {} old", FormatAge(*edge.age_ms));
  if (!e.reason.empty()) text += ": " + Printable(e.reason);
  return text + "\n";
}

double TimesOf(const SlowEdge& slow) { return std::max(slow.bw_times.value_or(0), slow.rtt_times.value_or(0)); }

// The slowest first, beside what is usual.
std::string RenderSlowEdges(const Topology& topology, const std::map<std::string, std::string>& labels,
                            const StatusStyle& style) {
  std::vector<const TopologyEdge*> slow;
  for (const TopologyEdge& edge : topology.edges)
    if (edge.slow) slow.push_back(&edge);
  std::stable_sort(slow.begin(), slow.end(),
                   [](const auto* a, const auto* b) { return TimesOf(*a->slow) > TimesOf(*b->slow); });
  const size_t shown = style.all ? slow.size() : std::min(slow.size(), kMostSlow);
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    const TopologyEdge& edge = *slow[i];
    std::string figures;
    if (edge.slow->bw_times && edge.edge.bw_p50_mbps)
      figures = fmt::format("{:.3f} Gb/s, {:.2g} times less", *edge.edge.bw_p50_mbps / 1000, *edge.slow->bw_times);
    if (edge.slow->rtt_times && edge.edge.rtt_p50_ms)
      figures += fmt::format("{}{:.1f} µs, {:.2g} times longer", figures.empty() ? "" : "; ",
                             *edge.edge.rtt_p50_ms * 1000, *edge.slow->rtt_times);
    text += fmt::format("  {}  {}  {}: {}\n", NameOf(edge, labels), Paint("slow", kYellow, style), figures,
                        Printable(edge.slow->reason));
  }
  if (shown < slow.size()) text += fmt::format("  and {} more: --all shows them\n", slow.size() - shown);
  return text;
}

// Edges that have bandwidth probes and no figure, though their round trips are good.
bool BandwidthUnknown(const TopologyEdge& edge) {
  return edge.edge.state == v1::PATH_STATE_OK && edge.edge.bw_life_ms &&
         edge.edge.bw_state == v1::BANDWIDTH_STATE_NOT_KNOWN;
}

// A line for each reason, with the first edge that has it.
std::string RenderUnknownBandwidth(const Topology& topology, const std::map<std::string, std::string>& labels) {
  std::map<std::string, std::pair<int64_t, const TopologyEdge*>> by_reason;
  for (const TopologyEdge& edge : topology.edges)
    if (BandwidthUnknown(edge)) {
      auto& [count, first] = by_reason.try_emplace(edge.edge.bw_reason, 0, &edge).first->second;
      ++count;
    }
  std::string text;
  for (const auto& [reason, edges] : by_reason) {
    const TopologyEdge& first = *edges.second;
    text += fmt::format("  {}{}: {}\n", NameOf(first, labels),
                        edges.first > 1 ? fmt::format(" and {} more", edges.first - 1) : "",
                        reason.empty() ? "not measured yet" : Printable(reason));
  }
  return text;
}

// In the columns of RenderNode: `by_name`, where the nodes are called by their host names.
std::string RenderLost(const TopologyLost& lost, bool by_name, size_t width, const StatusStyle& style) {
  const ClusterNode& node = lost.lost.node;
  const std::string id = node.node_id.substr(0, kShortId);
  return fmt::format("  {:<{}}  {:<15}  {}  {} for {}: {} (gone for good: netsense-bridge forget {})\n",
                     Printable(by_name ? node.hostname : node.address), width,
                     Printable(by_name ? node.address : node.hostname), id, Paint("LOST", kRed, style),
                     FormatAge(lost.age_ms), Printable(lost.lost.reason), id);
}

bool MissesNodes(const Topology& topology, const StatusStyle& style) {
  return style.expected_nodes && static_cast<int64_t>(topology.nodes.size()) < *style.expected_nodes;
}

}  // namespace

std::string FormatAge(int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", std::min(static_cast<double>(ms) / 1000, 59.9));
  const int64_t s = ms / 1000;
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
}

std::string RenderStatus(const Topology& unsorted, const StatusStyle& style) {
  const auto labels = Labels(unsorted);
  Topology topology = unsorted;
  std::sort(topology.nodes.begin(), topology.nodes.end(), [&labels](const TopologyNode& a, const TopologyNode& b) {
    return strverscmp(labels.at(a.node.node_id).c_str(), labels.at(b.node.node_id).c_str()) < 0;  // n2 before n10
  });
  const bool everything = style.all || topology.nodes.size() <= kManyNodes;
  size_t width = 0;
  for (const auto& [id, label] : labels) width = std::max(width, label.size());
  const bool good = StatusExitCode(topology, style) == 0;
  const int64_t slow = topology.num_slow_edges();

  std::string text = Paint(fmt::format("{}/{} reachable", topology.num_reachable_nodes(), topology.nodes.size()),
                           good ? kGreen : kRed, style);
  if (!topology.lost.empty()) text += fmt::format(", {} LOST", topology.lost.size());
  text += fmt::format(", {} of {} edges OK", topology.num_ok_edges(), topology.edges.size());
  if (slow > 0) text += fmt::format(", {} of them slow", slow);
  if (topology.num_isolated_edges() > 0)
    text += fmt::format(", {} between rails that do not reach each other", topology.num_isolated_edges());
  const auto unknown = std::count_if(topology.edges.begin(), topology.edges.end(), BandwidthUnknown);
  if (unknown > 0) text += fmt::format(", bandwidth of {} not known", unknown);
  text += "\n";
  if (!topology.message.empty()) text += Printable(topology.message) + "\n";
  if (MissesNodes(topology, style))
    text += fmt::format("{} nodes are expected (--expect-nodes), and {} alive\n", *style.expected_nodes,
                        topology.nodes.size());
  if (topology.nodes.empty()) text += "The GCS knows of no alive node.\n";
  for (const TopologyNode& node : topology.nodes)
    if (everything || node.state != v1::PATH_STATE_OK || !node.reachable)
      text += RenderNode(node, labels.at(node.node.node_id), width, style);
  const bool by_name = std::none_of(topology.nodes.begin(), topology.nodes.end(), [&labels](const TopologyNode& node) {
    return labels.at(node.node.node_id) == node.node.address;
  });
  for (const TopologyLost& lost : topology.lost) text += RenderLost(lost, by_name, width, style);
  std::string bad;
  for (const TopologyEdge& edge : topology.edges)
    if (edge.edge.state != v1::PATH_STATE_OK && edge.edge.state != v1::PATH_STATE_ISOLATED)
      bad += RenderBadEdge(edge, labels, style);
  if (!bad.empty()) text += "\n" + Paint("Bad edges", kBold, style) + "\n" + bad;
  if (slow > 0)
    text +=
        "\n" + Paint("Slow edges, the slowest first", kBold, style) + "\n" + RenderSlowEdges(topology, labels, style);
  if (everything && topology.nodes.size() > 1) {
    bool any_bandwidth = false;
    for (const auto& [way, part] : ByWay(topology)) {
      text += "\n" + RenderTable(topology, labels, RttTable(part, way), style);
      const auto bandwidth = style.rtt_only ? std::nullopt : BandwidthTable(part, way);
      if (bandwidth) text += "\n" + RenderTable(topology, labels, *bandwidth, style);
      any_bandwidth = any_bandwidth || bandwidth;
    }
    if (!any_bandwidth && !style.rtt_only)
      text += "\nBandwidth: no probe was made yet (network_sense_bw_enabled turns them on)\n";
  }
  if (unknown > 0)
    text += "\n" + Paint("Bandwidth not known", kBold, style) + "\n" + RenderUnknownBandwidth(topology, labels);
  if (!topology.warnings.empty()) text += "\n" + Paint("Warnings", kBold, style) + "\n";
  for (const std::string& warning : topology.warnings) text += "  " + Printable(warning) + "\n";
  if (!everything)
    text += fmt::format("\n{} nodes: only what is bad is shown; --all shows the matrices\n", topology.nodes.size());
  return text;
}

std::string StatusJson(const Topology& topology) {
  auto payload = TopologyToJson(topology);
  if (!topology.message.empty()) payload["message"] = topology.message;
  payload["reachable"] = {{"n", topology.num_reachable_nodes()}, {"m", topology.nodes.size()}};
  return DumpJson(payload);
}

int StatusExitCode(const Topology& topology, const StatusStyle& style) {
  bool all_ok = topology.num_ok_edges() + topology.num_isolated_edges() == static_cast<int64_t>(topology.edges.size());
  bool known = topology.num_reachable_nodes() == static_cast<int64_t>(topology.nodes.size());
  bool complete =
      topology.message.empty() && !topology.nodes.empty() && topology.lost.empty() && !MissesNodes(topology, style);
  return complete && all_ok && known && (style.allow_slow || topology.num_slow_edges() == 0) ? 0 : 1;
}

}  // namespace netsense
