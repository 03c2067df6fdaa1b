// The inventory as messages. What is no UTF-8 in a name is replaced (base/utf8.h).
#pragma once

#include "engine/inventory/node.h"
#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"

namespace netsense::inventory {

v1::Port ToProto(const Port& port);

// Ports (every NIC's but virtual functions without an address, and whatever has an address), GPUs with their nearest
// port, NUMA nodes and notes.
void Describe(const Node& node, v1::EngineInfo* info);

}  // namespace netsense::inventory
