#include "raylet_bridge/plan/mesh_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/plain_transport.h"
#include "raylet_bridge/plan/port_pairs.h"
#include "raylet_bridge/records/stable_hash.h"

namespace netsense {
namespace {

// When the ordered pair (from, to) of `nodes` nodes streams: in slot `slot` of `slots`, counted as in engine.proto. The
// circle method: nodes - 1 rounds (nodes, when odd) of disjoint pairs, each round two slots, one per direction. So
// every ordered pair has one slot, and in one slot no node is in two pairs. `from` and `to` are positions in the sorted
// list of nodes, and differ.
struct BandwidthSlot {
  uint32_t slots = 0;
  uint32_t slot = 0;
};
BandwidthSlot SlotOf(size_t nodes, size_t from, size_t to) {
  // With an odd number a place that nobody has makes it even: whoever is paired with it rests.
  const size_t rounds = nodes % 2 == 0 ? nodes - 1 : nodes;
  const size_t fixed = rounds;  // this place stays, the others turn around it
  auto [low, high] = std::minmax(from, to);
  const size_t round = (high == fixed ? 2 * low : low + high) % rounds;
  return {static_cast<uint32_t>(2 * rounds), static_cast<uint32_t>(2 * round + (from < to ? 0 : 1))};
}

// The same on every node that knows the same doors.
std::vector<std::string> TransportsOf(const std::map<std::string, DoorRecord>& doors, const Settings& settings) {
  if (!settings.transports.all) return settings.transports.names;
  std::set<std::string> offered;
  for (const auto& [node_id, door] : doors) offered.insert(door.transports.begin(), door.transports.end());
  return {offered.begin(), offered.end()};
}

// The most that any node has, at least one: the same on every node that knows the same doors.
uint32_t RailsOf(const std::map<std::string, DoorRecord>& doors, const Settings& settings) {
  uint32_t rails = 1;
  if (!settings.rails.is_off())
    for (const auto& [node_id, door] : doors) rails = std::max(rails, CountRails(door));
  return rails;
}

// Where a node is, the node list says, which only the GCS writes; its record, which many may write, says by which port,
// and what its rails' addresses are, which the engine has the node itself confirm.
v1::PlannedPath MakePath(const ClusterNode& node, const DoorRecord& door, const std::string& transport,
                         const PortPair& ports, const Settings& settings) {
  v1::PlannedPath path;
  path.set_path_id(door.node_id + "/" + transport);
  if (!ports.source.empty()) path.mutable_path_id()->append("/" + ports.source + ">" + ports.destination);
  path.set_transport(transport);
  path.set_dst_node_id(door.node_id);
  path.set_dst_address(ports.destination_address.empty() ? node.address : ports.destination_address);
  path.set_node_address(node.address);
  path.set_dst_port(door.port);
  path.set_source_address(ports.source_address);
  path.set_source_port(ports.source);
  path.set_destination_port(ports.destination);
  path.set_cross_rail(ports.cross_rail);
  if (ports.rail) path.set_rail(*ports.rail);
  if (!ports.source.empty()) *path.mutable_options() = ports.options;
  path.set_ping_interval_ms(settings.tick_ms);
  path.set_ping_timeout_ms(settings.rtt_timeout_ms);
  path.set_ping_payload_bytes(settings.rtt_payload_bytes);
  return path;
}

// Gives a path bandwidth probes in the round of lane `lane` of `lanes`; each lane has all the slots of a round.
void AddBandwidth(BandwidthSlot slot, uint32_t lane, uint32_t lanes, const Settings& settings, v1::PlannedPath* path) {
  if (!settings.bw_enabled) return;
  path->set_bandwidth_slot_ms(settings.bw_slot_ms);
  path->set_bandwidth_slots(slot.slots * lanes);
  path->set_bandwidth_slot(slot.slots * lane + slot.slot);
  path->set_bandwidth_bytes(settings.bw_payload_bytes);
  path->set_bandwidth_timeout_ms(settings.bw_slot_ms);
}

// All paths from one node to another. One lane per transport and rail: they stream one after another.
void AddPaths(const DoorRecord* self, const ClusterNode& node, const DoorRecord& peer,
              const std::vector<std::string>& transports, uint32_t rails, BandwidthSlot slot, const Settings& settings,
              v1::Plan* plan) {
  const auto lanes = static_cast<uint32_t>(transports.size()) * rails;
  const bool use_rails = self != nullptr && !settings.rails.is_off();
  bool by_routes = false, crossed = false;
  for (uint32_t i = 0; i < transports.size(); ++i) {
    const auto pairs = use_rails ? SameRails(*self, peer, transports[i]) : std::vector<PortPair>();
    for (const PortPair& pair : pairs) {
      auto* path = plan->add_paths();
      *path = MakePath(node, peer, transports[i], pair, settings);
      AddBandwidth(slot, i * rails + *pair.rail, lanes, settings, path);
    }
    if (auto cross = crossed || !use_rails ? std::nullopt : CrossRail(*self, peer, transports[i])) {
      *plan->add_paths() = MakePath(node, peer, transports[i], *cross, settings);
      crossed = true;
    }
    if (!pairs.empty()) continue;
    auto* path = plan->add_paths();
    *path = MakePath(node, peer, transports[i], PortPair(), settings);
    AddBandwidth(slot, i * rails, lanes, settings, path);
    by_routes = by_routes || !use_rails || transports[i] == kPlainTransport;
  }
  // Whether the node is there at all, whatever its rails do.
  if (!by_routes) *plan->add_paths() = MakePath(node, peer, kPlainTransport, PortPair(), settings);
}

}  // namespace

v1::Plan MakeMeshPlan(const std::string& self_node_id, const std::vector<ClusterNode>& alive,
                      const std::map<std::string, DoorRecord>& doors, const Settings& settings) {
  v1::Plan plan;
  plan.set_self_node_id(self_node_id);
  plan.set_lease_ms(settings.lease_ms);
  plan.set_rtt_window(settings.rtt_m);
  plan.set_rtt_alpha(settings.rtt_alpha);
  plan.set_bandwidth_window(settings.bw_m);
  plan.set_bandwidth_alpha(settings.bw_alpha);
  plan.set_ping_concurrency(settings.rtt_concurrency_per_node);
  plan.set_bandwidth_concurrency(settings.bw_concurrency_per_node);
  auto self = std::find_if(alive.begin(), alive.end(), [&](const auto& node) { return node.node_id == self_node_id; });
  if (settings.enabled && self != alive.end()) {
    const auto from = static_cast<size_t>(self - alive.begin());
    const std::vector<std::string> transports = TransportsOf(doors, settings);
    const uint32_t rails = RailsOf(doors, settings);
    auto own_door = doors.find(self_node_id);
    for (size_t to = 0; to < alive.size(); ++to) {
      auto door = doors.find(alive[to].node_id);
      if (to == from || door == doors.end()) continue;
      AddPaths(own_door == doors.end() ? nullptr : &own_door->second, alive[to], door->second, transports, rails,
               SlotOf(alive.size(), from, to), settings, &plan);
    }
  }
  plan.set_plan_id(fmt::format("{:016x}", StableHash(plan.SerializeAsString())));
  return plan;
}

}  // namespace netsense
