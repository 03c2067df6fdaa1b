// Where to knock at a node: what its bridge writes to the KV key `door:<node id>`.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"

namespace netsense {

// More rails than any machine has: a record that claims a higher number is not believed.
inline constexpr uint32_t kMostRails = 64;

struct DoorRecord {
  std::string node_id;
  std::string address;
  uint16_t port = 0;
  std::string incarnation;  // 16 hex digits; differs each time the engine starts
  std::string version;
  uint32_t protocol = 1;  // the newest that the door speaks; records of older releases do not say it
  std::vector<v1::Port> ports;
  std::vector<std::string> transports;  // those that can run there
  // Of those transports, what decides about their paths: kByDevice and so on.
  std::map<std::string, std::vector<std::string>> capabilities;
  std::string http;   // ADDRESS:PORT of the bridge's HTTP server; empty = none
  int64_t ts_ms = 0;  // milliseconds since the Unix epoch, when the record was made
};

// Capabilities of a transport (TransportInfo.capabilities) that decide which ports it goes between, and how.
inline constexpr char kByDevice[] = "device";       // its sessions name the devices at both ends
inline constexpr char kNeedsRdma[] = "needs_rdma";  // only between RDMA devices
bool Has(const DoorRecord& door, const std::string& transport, const char* capability);

// The door of the engine that `info` describes; peers reach it at `address`.
DoorRecord MakeDoorRecord(const std::string& node_id, const std::string& address, const v1::EngineInfo& info,
                          int64_t ts_ms);

// True when both lead to the same engine and say the same of it; `ts_ms` does not count.
bool SameDoor(const DoorRecord& a, const DoorRecord& b);

// Name of the port that the door's address belongs to; empty when no port has it.
std::string DoorPortName(const DoorRecord& door);

// The port of rail `rail`; null when the node has none.
const v1::Port* PortOfRail(const DoorRecord& door, uint32_t rail);
// How many rails the node has: the highest number plus one.
uint32_t CountRails(const DoorRecord& door);

nlohmann::ordered_json DoorToJson(const DoorRecord& door);
// Another node wrote it: InvalidArgument says why it can't be used.
absl::StatusOr<DoorRecord> ParseDoorRecord(const std::string& json, const std::string& node_id);

}  // namespace netsense
