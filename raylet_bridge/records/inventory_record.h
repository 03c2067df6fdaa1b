// What a node says of its machine: the value of the KV key `inventory:<node id>`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "netsense/engine.pb.h"

namespace netsense {

// Ports, GPUs, NUMA nodes and notes of `info` as protobuf's JSON, with the names of engine.proto. At most 256 KiB: a
// larger inventory is written without GIDs, else without all but a note that says so.
std::string InventoryToJson(const std::string& node_id, const v1::EngineInfo& info);

// {"ports":[...],"gpus":[...],"numa_nodes":[...],"inventory_notes":[...]}. Another node wrote it: fields that
// engine.proto does not know are left out, and InvalidArgument says why it can't be read.
absl::StatusOr<nlohmann::ordered_json> ParseInventory(const std::string& json, const std::string& node_id);

}  // namespace netsense
