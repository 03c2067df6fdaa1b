// Untrusted: the list of the cluster's nodes and of the lost ones, from the KV or a head's own file. What must hold:
// it is bounded, what is refused changes nothing, and what is written again is the same.
#include "raylet_bridge/cluster/node_roster.h"
#include "raylet_bridge/records/kv_keys.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

void Run(std::string_view bytes) {
  const MonotonicTime now = MonotonicNow();
  NodeRoster roster;
  const std::string before = roster.Text();
  if (!roster.Load(WithNodeIds(bytes), kNowMs, now).ok())
    return MustHold(roster.Text() == before, "what is refused changes nothing");
  MustHold(roster.lost().size() <= NodeRoster::kMostLost, "the lost are few");
  for (const LostNode& lost : roster.lost())
    MustHold(IsNodeId(lost.node.node_id) && lost.since <= now, "who is lost is a node, and was lost before now");
  NodeRoster again;
  MustHold(again.Load(roster.Text(), kNowMs, now).ok() && again.Text() == roster.Text(),
           "a roster is the same when it is written again");
  const auto nobody = [] { return absl::StatusOr<std::vector<ClusterNode>>(std::vector<ClusterNode>()); };
  const std::vector<ClusterNode> alive = {{NodeId(0), "10.0.0.1", "a", true, true, 0},
                                          {NodeId(1), "10.0.0.2", "b", true, false, 0}};
  MustHold(roster.Update(alive, nobody, kNowMs, now).ok() && roster.lost().size() <= NodeRoster::kMostLost,
           "whoever comes and goes, the lost are few");
  for (const LostNode& lost : roster.lost()) MustHold(lost.node.node_id != NodeId(0), "who is alive is not lost");
}

const Harness kHarness("roster", Run);

}  // namespace
}  // namespace netsense::fuzz
