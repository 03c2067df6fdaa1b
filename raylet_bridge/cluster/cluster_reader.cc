#include "raylet_bridge/cluster/cluster_reader.h"

#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {

absl::Status ClusterReader::Poll(bool reports, MonotonicTime now) {
  ASSIGN_OR_RETURN(auto nodes, gcs_->AliveNodes());
  std::vector<std::string> keys;
  for (const ClusterNode& node : nodes) {
    keys.push_back(DoorKey(node.node_id));
    if (reports) keys.push_back(ReportKey(node.node_id));
  }
  if (reports && own_roster_ == nullptr) keys.push_back(kRosterKey);
  ASSIGN_OR_RETURN(auto values, gcs_->MultiGet(keys));

  auto view = std::make_shared<ClusterView>();
  ClusterView& next = *view;
  next.nodes = std::move(nodes);
  for (const ClusterNode& node : next.nodes) {
    if (auto door = values.find(DoorKey(node.node_id)); door != values.end())
      next.doors.emplace(node.node_id, ParseDoorRecord(door->second, node.node_id));
    if (auto report = values.find(ReportKey(node.node_id)); report != values.end())
      next.reports.emplace(node.node_id, ParseReport(report->second, node.node_id));
  }
  RememberSightings(next, now);
  if (reports) RETURN_IF_ERROR(FindLost(values, next, now));
  view_ = std::move(view);
  polled_ = polled_ || reports;
  return absl::OkStatus();
}

// A reader goes on from what the head wrote: a node that ended since then is lost for it too.
absl::Status ClusterReader::FindLost(const std::map<std::string, std::string>& values, ClusterView& view,
                                     MonotonicTime now) {
  NodeRoster& roster = own_roster_ != nullptr ? *own_roster_ : roster_;
  auto written = values.find(kRosterKey);
  if (written != values.end() && written->second != roster_text_) {
    roster_text_ = written->second;
    (void)roster.Load(roster_text_, EpochMillis(), now);  // what can't be read is the head's to say
  }
  auto updated = roster.Update(
      view.nodes, [this] { return gcs_->AllNodes(); }, EpochMillis(), now);
  view.lost = roster.lost();
  return updated;
}

void ClusterReader::RememberSightings(ClusterView& view, MonotonicTime now) const {
  for (const auto& [node_id, report] : view.reports) {
    if (!report.ok()) continue;
    auto sighting = view_->sightings.find(node_id);
    auto before = view_->reports.find(node_id);
    const bool same = before != view_->reports.end() && before->second.ok() && before->second->ts_ms == report->ts_ms;
    if (same && sighting != view_->sightings.end())
      view.sightings[node_id] = sighting->second;
    else
      view.sightings[node_id] = {now, polled_};
  }
}

}  // namespace netsense
