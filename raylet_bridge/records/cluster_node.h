// A node of the cluster, as the GCS lists it.
#pragma once

#include <cstdint>
#include <string>

namespace netsense {

struct ClusterNode {
  std::string node_id;  // 56 lower-case hex digits
  std::string address;
  std::string hostname;
  bool alive = false;
  bool is_head = false;
  uint64_t start_time_ms = 0;
  std::string group{};  // of nodes that stand in for each other, KubeRay's worker group say; empty = not said
  // Of one that is not alive: that it ended on purpose (stopped, drained, idle), and the GCS's words.
  bool left_in_order = false;
  std::string end_reason{};
};

}  // namespace netsense
