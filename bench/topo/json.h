// A machine's topology as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/inventory/node.h"

namespace netsense {

// {schema_version, source, hostname, topology_hidden, notes[], gpus[], nics[], numa_nodes[], affinity_rows[],
//  affinity_columns[], affinity[][], gpu_affinity[][]}. Rows of `affinity` are gpus[], its columns nics[], in their
// order; a GPU's own `affinity` is that to its `nearest_nic`. What is not known is null, an affinity that is not known
// "UNKNOWN".
nlohmann::json TopologyJson(const inventory::Node& node);

}  // namespace netsense
