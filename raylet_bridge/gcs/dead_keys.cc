#include "raylet_bridge/gcs/dead_keys.h"

#include <utility>

#include "base/logging.h"
#include "base/status_macros.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {

absl::Status DeadKeys::Remove(const std::vector<ClusterNode>& alive) {
  std::set<std::string> now_alive;
  for (const ClusterNode& node : alive) now_alive.insert(node.node_id);
  if (!scanned_) {
    for (const std::string prefix : {kReportKeyPrefix, kDoorKeyPrefix, kInventoryKeyPrefix}) {
      ASSIGN_OR_RETURN(auto keys, gcs_->KeysWithPrefix(prefix));
      for (const std::string& key : keys)
        if (std::string id = key.substr(prefix.size()); IsNodeId(id)) to_remove_.insert(std::move(id));
    }
    scanned_ = true;
  }
  for (const std::string& id : std::exchange(alive_, std::move(now_alive)))
    if (!alive_.contains(id)) to_remove_.insert(id);
  std::erase_if(to_remove_, [this](const std::string& id) { return alive_.contains(id); });
  while (!to_remove_.empty()) {
    const std::string id = *to_remove_.begin();
    for (const std::string& key : {ReportKey(id), DoorKey(id), InventoryKey(id)}) RETURN_IF_ERROR(gcs_->Delete(key));
    spdlog::info("removed the keys of node {}, which is no longer alive", id);
    to_remove_.erase(id);
  }
  return absl::OkStatus();
}

}  // namespace netsense
