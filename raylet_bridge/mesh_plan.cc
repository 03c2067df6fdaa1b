#include "raylet_bridge/mesh_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_split.h"

namespace netsense {
namespace {

// FNV-1a: the same in every process and version.
uint64_t Hash(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

constexpr char kAllTransports[] = "all";

// The same on every node that knows the same doors.
std::vector<std::string> TransportsOf(const std::map<std::string, DoorRecord>& doors, const Settings& settings) {
  if (settings.transports != kAllTransports) return absl::StrSplit(settings.transports, ',');
  std::set<std::string> offered;
  for (const auto& [node_id, door] : doors) offered.insert(door.transports.begin(), door.transports.end());
  return {offered.begin(), offered.end()};
}

v1::PlannedPath MakePath(const DoorRecord& door, const std::string& transport, const Settings& settings,
                         BandwidthSlot slot) {
  v1::PlannedPath path;
  path.set_path_id(door.node_id + "/" + transport);
  path.set_transport(transport);
  path.set_dst_node_id(door.node_id);
  path.set_dst_address(door.address);
  path.set_dst_port(door.port);
  path.set_ping_interval_ms(settings.tick_ms);
  path.set_ping_timeout_ms(settings.rtt_timeout_ms);
  path.set_ping_payload_bytes(settings.rtt_payload_bytes);
  if (!settings.bw_enabled) return path;
  path.set_bandwidth_slot_ms(settings.bw_slot_ms);
  path.set_bandwidth_slots(slot.slots);
  path.set_bandwidth_slot(slot.slot);
  path.set_bandwidth_bytes(settings.bw_payload_bytes);
  path.set_bandwidth_timeout_ms(settings.bw_slot_ms);
  return path;
}

}  // namespace

BandwidthSlot SlotOf(size_t nodes, size_t from, size_t to) {
  // With an odd number a place that nobody has makes it even: whoever is paired with it rests.
  const size_t rounds = nodes % 2 == 0 ? nodes - 1 : nodes;
  const size_t fixed = rounds;  // this place stays, the others turn around it
  auto [low, high] = std::minmax(from, to);
  const size_t round = (high == fixed ? 2 * low : low + high) % rounds;
  return {static_cast<uint32_t>(2 * rounds), static_cast<uint32_t>(2 * round + (from < to ? 0 : 1))};
}

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
    for (size_t to = 0; to < alive.size(); ++to) {
      auto door = doors.find(alive[to].node_id);
      if (to == from || door == doors.end()) continue;
      const BandwidthSlot slot = SlotOf(alive.size(), from, to);
      for (uint32_t i = 0; i < transports.size(); ++i)
        *plan.add_paths() =
            MakePath(door->second, transports[i], settings,
                     {slot.slots * static_cast<uint32_t>(transports.size()), slot.slots * i + slot.slot});
    }
  }
  plan.set_plan_id(fmt::format("{:016x}", Hash(plan.SerializeAsString())));
  return plan;
}

}  // namespace netsense
