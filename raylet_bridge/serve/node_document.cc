#include "raylet_bridge/serve/node_document.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/inventory_record.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

absl::StatusOr<nlohmann::ordered_json> Read(const absl::StatusOr<std::optional<std::string>>& inventory,
                                            const std::string& node_id) {
  if (!inventory.ok()) return inventory.status();
  if (!*inventory)
    return absl::NotFoundError("this node has written none: its engine or its netsense-bridge may be down");
  auto parsed = ParseInventory(**inventory, node_id);
  if (!parsed.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("the inventory of this node can't be used: ", parsed.status().message()));
  return parsed;
}

}  // namespace

std::string NodeDocument(const TopologyNode& node, const absl::StatusOr<std::optional<std::string>>& inventory,
                         const std::string& message) {
  const auto read = Read(inventory, node.node.node_id);
  return EnvelopeJson({{"node", TopologyNodeToJson(node)},
                       {"inventory", read.ok() ? *read : nlohmann::ordered_json(nullptr)},
                       {"inventory_reason", std::string(read.status().message())}},
                      message);
}

}  // namespace netsense
