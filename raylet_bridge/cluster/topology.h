// Everything that is known of the cluster's nodes and edges at one moment, and what holds of each. The HTTP API, the
// metrics and `status` show this.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "netsense/measurement.pb.h"
#include "raylet_bridge/cluster/node_roster.h"
#include "raylet_bridge/cluster/slow_marks.h"
#include "raylet_bridge/records/cluster_node.h"
#include "raylet_bridge/records/door_record.h"
#include "raylet_bridge/records/report.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

// When a reader of reports saw one of them, by the reader's own monotonic clock.
struct ReportSighting {
  MonotonicTime newest_since{};  // since when it has seen the newest `ts_ms`
  bool seen_to_change = false;   // false: it was there when the reader first looked
};

// What the GCS says, as read by ClusterReader. The maps are by node id; a node that wrote nothing is absent.
struct ClusterView {
  std::vector<ClusterNode> nodes;  // the alive ones, sorted by node id
  std::vector<LostNode> lost;      // the oldest first
  std::map<std::string, absl::StatusOr<DoorRecord>> doors;
  std::map<std::string, absl::StatusOr<Report>> reports;
  std::map<std::string, ReportSighting> sightings;
};

struct TopologyNode {
  ClusterNode node;
  std::optional<DoorRecord> door;
  std::optional<int64_t> report_ts_ms, report_age_ms;  // nothing = no report that can be read
  int64_t num_out_edges = 0;                           // that its report holds, to alive nodes
  // Of its report: OK, STALE (older than rtt_ttl_ms), UNKNOWN (none, or not readable).
  v1::PathState state = v1::PATH_STATE_UNKNOWN;
  std::string reason;
  // At least half of the nodes that can tell (whose edge to it is not UNKNOWN or STALE) have an OK or DEGRADED edge to
  // it. A node alone in its cluster is reachable while it reports and has a door; one that nobody can tell of is not.
  bool reachable = false;
  int64_t num_voters = 0;  // the nodes that can tell; 0 = nobody knows whether it is reachable, unless it is alone
};

// A node that ended without saying so (node_roster.h). It has no edges.
struct TopologyLost {
  LostNode lost;
  int64_t age_ms = 0;  // since it was noticed
};

// An OK edge that is slow beside others (slow_marks.h).
struct SlowEdge {
  std::optional<double> bw_times, rtt_times;  // how many times worse than usual
  std::string reason;                         // beside what
};

struct TopologyEdge {
  std::string src_node_id;
  std::optional<int64_t> report_ts_ms, age_ms;  // of the report it comes from; nothing = nobody reported it
  ReportEdge edge;                              // ages as of generated_at_ms
  std::optional<SlowEdge> slow{};               // nothing = it is not, or nobody can tell
};

// Ordered pairs of alive nodes: each has at least one edge, and one per transport and rail where there are rails.
// Sorted as the nodes are: source first, then destination.
struct Topology {
  int64_t generated_at_ms = 0;
  std::string message{};  // why this is not of now; empty = it is
  std::vector<TopologyNode> nodes;
  std::vector<TopologyEdge> edges;
  std::vector<TopologyLost> lost;
  std::vector<std::string>
      warnings;  // of rails and protocols that are not the same on all nodes (rail_check.h, protocol_check.h)

  int64_t num_reports() const;
  int64_t num_ok_edges() const;
  int64_t num_slow_edges() const;      // of those that are OK
  int64_t num_isolated_edges() const;  // between rails without a route: no fault
  int64_t num_reachable_nodes() const;
};

// One edge as it is judged, without a copy of what was reported. The references live as long as the visit.
struct JudgedEdge {
  const TopologyNode &src, &dst;
  size_t src_place, dst_place;  // in ClusterView.nodes
  v1::PathState state;
  const std::string& reason;
  const ReportEdge* reported;  // null: nobody reported this pair. Its figures count only while `state` is OK
  SlowMark slow;

  std::optional<double> rtt_p50_ms() const, bw_p50_mbps() const;  // while they count
};

// What is usual among the cluster's edges. It looks at all of them, so one is made for all readers of a view.
std::shared_ptr<const SlowMarks> FindSlowMarks(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                               MonotonicTime now);

// What BuildTopology is made of: gives back the nodes, after it has called `visit` for each edge in the topology's
// order. The one place that says what holds of a node and an edge. Without `marks` no edge is called slow.
std::vector<TopologyNode> JudgeCluster(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                       MonotonicTime now, const SlowMarks* marks,
                                       const std::function<void(const JudgedEdge&)>& visit);
TopologyEdge CopyOf(const JudgedEdge& edge);
// The edges of one ordered pair, as BuildTopology has them; it looks at the source's report alone. Empty when one of
// the two is not in `view`.
std::vector<TopologyEdge> EdgesBetween(const std::string& src_node_id, const std::string& dst_node_id,
                                       const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                       MonotonicTime now, const SlowMarks* marks);
// Marks what is slow in a topology that comes from elsewhere, without marks.
void MarkSlowEdges(Topology* topology);
std::vector<TopologyLost> LostNodes(const ClusterView& view, MonotonicTime now);
// Of the nodes' rails, as in Topology.
std::vector<std::string> TopologyWarnings(const std::vector<TopologyNode>& nodes);

// The age of a report is what the reader's own clock says since it saw the report change: so neither a step of a wall
// clock nor a host whose clock is wrong makes old data fresh, or fresh data old. A report that it has not seen to
// change yet is UNKNOWN, and STALE once its time to live has passed. Where nobody watches (a view without sightings)
// the wall clocks are compared. A clock that is off is told in the node's reason.
Topology BuildTopology(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now);

}  // namespace netsense
