// A made-up cluster that changes at each tick, for the page and for tests of what a head does with many nodes: nothing
// is measured, and the figures only look plausible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "netsense/engine.pb.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

struct SyntheticOptions {
  size_t nodes = 3;
  uint32_t seed = 1;
  uint32_t rails = 0;    // 0 = the second transport goes by the kernel's routes too; of 2 and more they are isolated
  bool hostile = false;  // names and reasons that try to become markup
};

// Leaves of 16 nodes, pods of 64: tcp between all, verbs inside a pod. Of 8 nodes and more one has no report, the
// report of one is old, one is reached by nobody, and one more is lost; some links are slow at any size. Not
// thread-safe.
class SyntheticCluster {
 public:
  explicit SyntheticCluster(const SyntheticOptions& options);

  // The cluster at tick `tick`, its reports of `now_epoch_ms`. Two views are used in turn: the one before the last must
  // be nobody's by then, else nothing happens and the last one is given again.
  std::shared_ptr<const ClusterView> At(uint64_t tick, int64_t now_epoch_ms);

  const std::string& node_id(size_t i) const { return ids_.at(i); }
  // Two sockets with two NICs and four GPUs each.
  v1::EngineInfo Inventory(size_t i) const;

 private:
  ClusterView Make() const;
  void AddEdges(size_t src, size_t dst, Report* report) const;
  void Update(ClusterView* view, uint64_t tick, int64_t now_epoch_ms) const;
  void UpdateEdge(size_t src, size_t dst, uint64_t tick, ReportEdge* edge) const;

  const SyntheticOptions options_;
  std::vector<std::string> ids_;  // sorted
  std::shared_ptr<ClusterView> views_[2];
  size_t current_ = 0;
};

}  // namespace netsense
