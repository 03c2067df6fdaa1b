// Which ports of two nodes are measured against each other: the same rails, and a sample of different ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netsense/measurement.pb.h"
#include "netsense/session.pb.h"
#include "raylet_bridge/records/door_record.h"

namespace netsense {

// From one port to another over one transport.
struct PortPair {
  std::string source,
      destination;             // Port.name; empty = the kernel's routes choose: it only tells that the node is there
  std::string source_address;  // empty = the kernel chooses
  std::string destination_address;  // empty = the node's
  std::optional<uint32_t> rail;     // of both; nothing = no rail, or two different ones
  bool cross_rail = false;
  v1::TransportOptions options;  // names the devices where the transport is told by device
};

// Every rail that both nodes have, of the same fabric and fit for `transport` by what `from` says of it (it needs
// addresses of one family, or RDMA devices), in rising order.
std::vector<PortPair> SameRails(const DoorRecord& from, const DoorRecord& to, const std::string& transport);

// One pair of different rails, the same each time for these nodes and another one for others, so that a cluster tries
// all of them; nothing when there are not two rails.
std::optional<PortPair> CrossRail(const DoorRecord& from, const DoorRecord& to, const std::string& transport);

}  // namespace netsense
