// Untrusted: the report that another node wrote into the KV. What must hold: it speaks for its own node alone; an edge
// that is not OK has no figure; ages only grow, and what is written again is the same.
#include "raylet_bridge/records/report.h"

#include <nlohmann/json.hpp>

#include "raylet_bridge/records/kv_keys.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

bool HasFigures(const ReportEdge& edge) {
  return edge.rtt_ms || edge.rtt_p50_ms || edge.jitter_ms || edge.bw_mbps || edge.bw_p50_mbps || edge.bw_best_mbps ||
         edge.network_rtt_ms || edge.network_rtt_p50_ms || edge.rtt_distribution_ms || edge.bw_percent;
}

void CheckEdge(const ReportEdge& edge) {
  MustHold(IsNodeId(edge.dst_node_id) && edge.dst_node_id != NodeId(0), "an edge leads to another node");
  MustHold(edge.state == v1::PATH_STATE_OK ? edge.rtt_p50_ms.has_value() : !HasFigures(edge),
           "an edge is OK and has figures, or neither");
  MustHold(BandwidthCounts(edge, 0) || !(edge.bw_mbps || edge.bw_p50_mbps), "a bandwidth that does not count is none");
  ReportEdge later = edge;
  AddToAges(later, 3'600'000);
  if (edge.rtt_age_ms) MustHold(*later.rtt_age_ms == *edge.rtt_age_ms + 3'600'000, "ages grow with time");
  MustHold(BandwidthCounts(later, 0) == BandwidthCounts(edge, 3'600'000),
           "time makes a bandwidth old, whoever lets it pass");
}

void Run(std::string_view bytes) {
  const auto report = ParseReport(WithNodeIds(bytes), NodeId(0));
  if (!report.ok()) return;
  MustHold(report->node_id == NodeId(0) && report->ts_ms >= 0 && report->ttl_ms >= 0, "a report is its own node's");
  for (const ReportEdge& edge : report->edges) CheckEdge(edge);
  const std::string written = ReportToJson(*report);
  const auto again = ParseReport(written, NodeId(0));
  MustHold(again.ok() && ReportToJson(*again) == written, "a report is the same when it is written again");
}

const Harness kHarness("report", Run);

}  // namespace
}  // namespace netsense::fuzz
