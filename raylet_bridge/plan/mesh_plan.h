// The full mesh: what one node measures, from the same list of nodes that every other node has.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "netsense/engine.pb.h"
#include "raylet_bridge/records/cluster_node.h"
#include "raylet_bridge/records/door_record.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

// Paths over each of settings.transports from `self_node_id` to every other alive node that has a door; none when
// settings.enabled is false. Where both nodes have rails that a transport can use: one per rail (port_pairs.h). Else
// one by the kernel's routes to the address that `alive` has, whatever its record says, where a transport that a node
// lacks is planned all the same: the edge then says why it fails. Besides, one between two different rails, and one by
// the kernel's routes in any case, which tells whether the node is there. Transports and rails stream one after
// another: each has all the slots of a round to itself. `alive` is sorted by node id; all of its nodes count for the
// slots, so that nodes agree although one has not seen a door yet. Equal input gives an equal plan_id, and other
// content another.
v1::Plan MakeMeshPlan(const std::string& self_node_id, const std::vector<ClusterNode>& alive,
                      const std::map<std::string, DoorRecord>& doors, const Settings& settings);

}  // namespace netsense
