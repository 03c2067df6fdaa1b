#include "raylet_bridge/cluster/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "raylet_bridge/cluster/protocol_check.h"
#include "raylet_bridge/cluster/rail_check.h"

namespace netsense {
namespace {

// Beside two ticks of the report: so late a reader may see it.
constexpr int64_t kClockToleranceMs = 10'000;

bool Reaches(v1::PathState state) { return state == v1::PATH_STATE_OK || state == v1::PATH_STATE_DEGRADED; }

// The value that a map of parsed documents holds for a node; null when there is none, or it could not be parsed.
template <typename T>
const T* Find(const std::map<std::string, absl::StatusOr<T>>& documents, const std::string& node_id) {
  auto found = documents.find(node_id);
  return found == documents.end() || !found->second.ok() ? nullptr : &*found->second;
}

// Why there is none.
template <typename T>
std::string WhyNone(const std::map<std::string, absl::StatusOr<T>>& documents, const std::string& node_id,
                    const char* what) {
  auto found = documents.find(node_id);
  if (found == documents.end()) return fmt::format("no {} from this node: does netsense-bridge run there?", what);
  return fmt::format("the {} of this node can't be used: {}", what, std::string(found->second.status().message()));
}

// Why it has no door: its own bridge may say that.
std::string WhyNoDoor(const ClusterView& view, const TopologyNode& node) {
  const Report* report = Find(view.reports, node.node.node_id);
  if (report != nullptr && node.state == v1::PATH_STATE_OK && !report->reason.empty()) return report->reason;
  return WhyNone(view.doors, node.node.node_id, "door record");
}

// How old a report is, and whether that is known: by its sighting, where somebody watches.
struct ReportAge {
  int64_t ms = 0;
  bool known = true, watched = false;
};

ReportAge AgeOf(const ClusterView& view, const Report& report, int64_t now_epoch_ms, MonotonicTime now) {
  auto sighting = view.sightings.find(report.node_id);
  if (sighting == view.sightings.end()) return {std::max<int64_t>(now_epoch_ms - report.ts_ms, 0)};
  return {std::max<int64_t>(MillisSince(sighting->second.newest_since, now), 0), sighting->second.seen_to_change,
          sighting->second.seen_to_change};
}

// "its clock is 61 s ahead of ours"; empty when it is not.
std::string ClockWords(const Report& report, const ReportAge& age, int64_t now_epoch_ms) {
  const int64_t tolerance_ms = kClockToleranceMs + 2 * report.tick_ms;
  const int64_t ahead_ms = report.ts_ms - (now_epoch_ms - (age.watched ? age.ms : 0));
  if (ahead_ms > tolerance_ms) return fmt::format("its clock is {} s ahead of ours", ahead_ms / 1000);
  if (age.watched && -ahead_ms > tolerance_ms) return fmt::format("its clock is {} s behind ours", -ahead_ms / 1000);
  return "";
}

TopologyNode MakeNode(const ClusterView& view, const ClusterNode& node, const Settings& settings, int64_t now_epoch_ms,
                      MonotonicTime now) {
  TopologyNode made;
  made.node = node;
  if (const DoorRecord* door = Find(view.doors, node.node_id)) made.door = *door;
  const Report* report = Find(view.reports, node.node_id);
  if (report == nullptr) {
    made.reason = WhyNone(view.reports, node.node_id, "report");
    return made;
  }
  made.report_ts_ms = report->ts_ms;
  const ReportAge age = AgeOf(view, *report, now_epoch_ms, now);
  made.report_age_ms = age.ms;
  // The reporter knows how often it reports; a reader may have been given no settings at all.
  const int64_t ttl_ms = report->ttl_ms > 0 ? report->ttl_ms : int64_t{settings.rtt_ttl_ms};
  if (age.ms > ttl_ms) {
    made.state = v1::PATH_STATE_STALE;
    made.reason = fmt::format("its report is {}{} ms old, older than network_sense_rtt_ttl_ms ({})",
                              age.known ? "" : "at least ", age.ms, ttl_ms);
  } else if (!age.known) {
    made.reason = "its report was seen only once so far: it is not known yet whether it is renewed";
  } else {
    made.state = v1::PATH_STATE_OK;
    made.reason = report->reason;
  }
  if (const std::string words = ClockWords(*report, age, now_epoch_ms); !words.empty())
    made.reason += (made.reason.empty() ? "" : "; ") + words;
  return made;
}

// Why nothing is known of the pairs of a source that nobody reported; empty when its report is no reason.
std::string WhySourceIsSilent(const ClusterView& view, const TopologyNode& src) {
  if (!src.report_ts_ms || src.state == v1::PATH_STATE_UNKNOWN) return "source: " + src.reason;
  const Report* report = Find(view.reports, src.node.node_id);
  return report != nullptr && !report->reason.empty() ? "source: " + report->reason : "";
}

// Who reaches a node, of those that can tell.
struct Votes {
  size_t reached = 0, all = 0;

  // The edges of one source: it is there when it answers by any path.
  void Count(const std::vector<v1::PathState>& states) {
    bool tells = false, reaches = false;
    for (v1::PathState state : states) {
      if (state == v1::PATH_STATE_UNKNOWN || state == v1::PATH_STATE_STALE || state == v1::PATH_STATE_ISOLATED)
        continue;
      tells = true;
      reaches = reaches || Reaches(state);
    }
    all += tells;
    reached += reaches;
  }
};

}  // namespace

int64_t Topology::num_reports() const {
  return std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return node.report_ts_ms.has_value(); });
}

int64_t Topology::num_ok_edges() const {
  return std::count_if(edges.begin(), edges.end(),
                       [](const auto& edge) { return edge.edge.state == v1::PATH_STATE_OK; });
}

int64_t Topology::num_slow_edges() const {
  return std::count_if(edges.begin(), edges.end(), [](const auto& edge) { return edge.slow.has_value(); });
}

int64_t Topology::num_isolated_edges() const {
  return std::count_if(edges.begin(), edges.end(),
                       [](const auto& edge) { return edge.edge.state == v1::PATH_STATE_ISOLATED; });
}

int64_t Topology::num_reachable_nodes() const {
  return std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return node.reachable; });
}

namespace {

using Visit = std::function<void(const JudgedEdge&)>;

// All nodes, and on demand the edges of one after the other.
class Judge {
 public:
  Judge(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now,
        const SlowMarks* marks)
      : view_(view), votes_(view.nodes.size()) {
    if (marks != nullptr) slow_.emplace(*marks);
    for (const ClusterNode& node : view.nodes) {
      places_.emplace(node.node_id, nodes_.size());
      nodes_.push_back(MakeNode(view, node, settings, now_epoch_ms, now));
      no_door_.push_back(nodes_.back().door ? "" : "destination: " + WhyNoDoor(view, nodes_.back()));
    }
  }

  std::shared_ptr<const SlowMarks> FindSlowMarks() const {
    auto marks = std::make_shared<SlowMarks>();
    for (size_t src = 0; src < nodes_.size(); ++src) {
      const Report* report = Find(view_.reports, nodes_[src].node.node_id);
      if (report == nullptr || nodes_[src].state != v1::PATH_STATE_OK) continue;
      for (const ReportEdge& edge : report->edges)
        if (auto dst = PlaceOf(edge.dst_node_id); dst && *dst != src && edge.state == v1::PATH_STATE_OK)
          marks->Add(edge, src, *dst, nodes_[src].report_age_ms.value_or(0));
    }
    marks->Conclude();
    return marks;
  }

  std::optional<size_t> PlaceOf(const std::string& node_id) const {
    auto place = places_.find(node_id);
    return place == places_.end() ? std::nullopt : std::optional(place->second);
  }

  // The edges from `src`, sorted by destination.
  void VisitSource(size_t src, const Visit& visit) {
    static const std::string kNotYet = "the source has not reported this pair yet";
    std::vector<std::pair<size_t, const ReportEdge*>> told;  // by destination
    if (const Report* report = Find(view_.reports, nodes_[src].node.node_id))
      for (const ReportEdge& edge : report->edges)
        if (auto place = PlaceOf(edge.dst_node_id); place && *place != src) told.emplace_back(*place, &edge);
    std::stable_sort(told.begin(), told.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    nodes_[src].num_out_edges = static_cast<int64_t>(told.size());
    const std::string silent = WhySourceIsSilent(view_, nodes_[src]);
    const v1::PathState of_source = nodes_[src].state;  // but OK, it goes before what the report says
    const bool good = of_source == v1::PATH_STATE_OK;
    const std::string why_not = "source: " + nodes_[src].reason;
    auto next = told.begin();
    for (size_t dst = 0; dst < nodes_.size(); ++dst) {
      if (dst == src) continue;
      states_.clear();
      for (; next != told.end() && next->first == dst; ++next) {
        const ReportEdge& edge = *next->second;
        states_.push_back(good ? edge.state : of_source);
        const SlowMark slow = slow_ && states_.back() == v1::PATH_STATE_OK
                                  ? slow_->Of(edge, nodes_[src].report_age_ms.value_or(0))
                                  : SlowMark{};
        visit({nodes_[src], nodes_[dst], src, dst, states_.back(), good ? edge.reason : why_not, &edge, slow});
      }
      if (states_.empty()) {
        const std::string& reason = !silent.empty() ? silent : !no_door_[dst].empty() ? no_door_[dst] : kNotYet;
        visit({nodes_[src], nodes_[dst], src, dst, v1::PATH_STATE_UNKNOWN, reason, nullptr, {}});
      }
      votes_[dst].Count(states_);
    }
  }

  // After each source was visited. At least half of those that can tell: one cut off node must not make all others
  // look bad, and who cannot tell has no vote.
  std::vector<TopologyNode> TakeNodes() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      nodes_[i].num_voters = static_cast<int64_t>(votes_[i].all);
      const bool alone = nodes_.size() == 1 && nodes_[i].state == v1::PATH_STATE_OK && nodes_[i].door;
      nodes_[i].reachable = alone || (votes_[i].all > 0 && 2 * votes_[i].reached >= votes_[i].all);
    }
    return std::move(nodes_);
  }

 private:
  const ClusterView& view_;
  std::vector<TopologyNode> nodes_;
  std::unordered_map<std::string_view, size_t> places_;
  std::vector<std::string> no_door_;  // why the pairs to a node can't be measured; empty when they can
  std::vector<Votes> votes_;
  std::vector<v1::PathState> states_;
  std::optional<SlowMarks::Lookup> slow_;
};

}  // namespace

std::shared_ptr<const SlowMarks> FindSlowMarks(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                               MonotonicTime now) {
  return Judge(view, settings, now_epoch_ms, now, nullptr).FindSlowMarks();
}

std::vector<TopologyNode> JudgeCluster(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                       MonotonicTime now, const SlowMarks* marks, const Visit& visit) {
  Judge judge(view, settings, now_epoch_ms, now, marks);
  for (size_t src = 0; src < view.nodes.size(); ++src) judge.VisitSource(src, visit);
  return judge.TakeNodes();
}

std::vector<TopologyEdge> EdgesBetween(const std::string& src_node_id, const std::string& dst_node_id,
                                       const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                       MonotonicTime now, const SlowMarks* marks) {
  std::vector<TopologyEdge> edges;
  Judge judge(view, settings, now_epoch_ms, now, marks);
  const auto src = judge.PlaceOf(src_node_id), dst = judge.PlaceOf(dst_node_id);
  if (src && dst)
    judge.VisitSource(*src, [&](const JudgedEdge& edge) {
      if (edge.dst_place == *dst) edges.push_back(CopyOf(edge));
    });
  return edges;
}

namespace {

std::optional<SlowEdge> ToSlowEdge(const SlowMark& mark) {
  if (!mark.any()) return {};
  auto times = [](double value) { return value > 0 ? std::optional(value) : std::nullopt; };
  return SlowEdge{times(mark.bandwidth_times), times(mark.rtt_times), *mark.words};
}

}  // namespace

void MarkSlowEdges(Topology* topology) {
  std::map<std::string, size_t> places;
  for (const TopologyNode& node : topology->nodes) places.emplace(node.node.node_id, places.size());
  SlowMarks marks;
  for (const TopologyEdge& edge : topology->edges)
    if (edge.edge.state == v1::PATH_STATE_OK)
      marks.Add(edge.edge, places[edge.src_node_id], places[edge.edge.dst_node_id], 0);
  marks.Conclude();
  SlowMarks::Lookup lookup(marks);
  for (TopologyEdge& edge : topology->edges)
    if (edge.edge.state == v1::PATH_STATE_OK) edge.slow = ToSlowEdge(lookup.Of(edge.edge, 0));
}

std::optional<double> JudgedEdge::rtt_p50_ms() const {
  return reported != nullptr && state == v1::PATH_STATE_OK ? reported->rtt_p50_ms : std::nullopt;
}

std::optional<double> JudgedEdge::bw_p50_mbps() const {
  if (reported == nullptr || state != v1::PATH_STATE_OK) return std::nullopt;
  return BandwidthCounts(*reported, src.report_age_ms.value_or(0)) ? reported->bw_p50_mbps : std::nullopt;
}

TopologyEdge CopyOf(const JudgedEdge& judged) {
  TopologyEdge made{judged.src.node.node_id, judged.src.report_ts_ms, judged.src.report_age_ms, {}, {}};
  if (judged.reported != nullptr) {
    made.edge = *judged.reported;
    AddToAges(made.edge, judged.src.report_age_ms.value_or(0));
  }
  made.edge.dst_node_id = judged.dst.node.node_id;
  made.edge.state = judged.state;
  made.edge.reason = judged.reason;
  if (judged.state != v1::PATH_STATE_OK) ClearFigures(made.edge);
  made.slow = ToSlowEdge(judged.slow);
  return made;
}

std::vector<TopologyLost> LostNodes(const ClusterView& view, MonotonicTime now) {
  std::vector<TopologyLost> lost;
  for (const LostNode& each : view.lost) lost.push_back({each, std::max<int64_t>(MillisSince(each.since, now), 0)});
  return lost;
}

std::vector<std::string> TopologyWarnings(const std::vector<TopologyNode>& nodes) {
  std::vector<NodeRails> rails;
  std::vector<std::string> doorless;
  for (const TopologyNode& node : nodes) {
    const std::string& label = node.node.hostname.empty() ? node.node.address : node.node.hostname;
    if (node.door) rails.push_back({label, &*node.door});
    const bool tells_why = node.state == v1::PATH_STATE_OK && !node.reason.empty();
    if (!node.door && tells_why) doorless.push_back(fmt::format("{} has no door: {}", label, node.reason));
  }
  std::vector<std::string> warnings = ProtocolWarnings(rails);
  for (std::string& warning : RailWarnings(rails)) warnings.push_back(std::move(warning));
  warnings.insert(warnings.end(), doorless.begin(), doorless.end());
  return warnings;
}

Topology BuildTopology(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now) {
  Topology topology;
  topology.generated_at_ms = now_epoch_ms;
  const auto marks = FindSlowMarks(view, settings, now_epoch_ms, now);
  topology.nodes = JudgeCluster(view, settings, now_epoch_ms, now, marks.get(),
                                [&topology](const JudgedEdge& edge) { topology.edges.push_back(CopyOf(edge)); });
  topology.lost = LostNodes(view, now);
  topology.warnings = TopologyWarnings(topology.nodes);
  return topology;
}

}  // namespace netsense
