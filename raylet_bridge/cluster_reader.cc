#include "raylet_bridge/cluster_reader.h"

#include <utility>
#include <vector>

#include "raylet_bridge/kv_keys.h"

namespace netsense {

absl::Status ClusterReader::Poll(bool reports, MonotonicTime now) {
  auto nodes = gcs_->AliveNodes();
  if (!nodes.ok()) return nodes.status();
  std::vector<std::string> keys;
  for (const ClusterNode& node : *nodes) {
    keys.push_back(DoorKey(node.node_id));
    if (reports) keys.push_back(ReportKey(node.node_id));
  }
  auto values = gcs_->MultiGet(keys);
  if (!values.ok()) return values.status();

  auto view = std::make_shared<ClusterView>();
  ClusterView& next = *view;
  next.nodes = *std::move(nodes);
  for (const ClusterNode& node : next.nodes) {
    if (auto door = values->find(DoorKey(node.node_id)); door != values->end())
      next.doors.emplace(node.node_id, ParseDoorRecord(door->second, node.node_id));
    if (auto report = values->find(ReportKey(node.node_id)); report != values->end())
      next.reports.emplace(node.node_id, ParseReport(report->second, node.node_id));
  }
  RememberSightings(next, now);
  view_ = std::move(view);
  return absl::OkStatus();
}

void ClusterReader::RememberSightings(ClusterView& view, MonotonicTime now) const {
  for (const auto& [node_id, report] : view.reports) {
    if (!report.ok()) continue;
    auto sighting = view_->sightings.find(node_id);
    auto before = view_->reports.find(node_id);
    bool known = sighting != view_->sightings.end() && before != view_->reports.end() && before->second.ok();
    if (!known) {
      view.sightings[node_id] = {now, false};
    } else if (before->second->ts_ms != report->ts_ms) {
      view.sightings[node_id] = {now, true};
    } else {
      view.sightings[node_id] = sighting->second;
    }
  }
}

}  // namespace netsense
