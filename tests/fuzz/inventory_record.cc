// Untrusted: what another node says of its machine. What must hold: four lists are what the page gets, whatever was
// written, and what is written again is the same.
#include "raylet_bridge/records/inventory_record.h"

#include <nlohmann/json.hpp>

#include "raylet_bridge/records/json_fields.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const auto inventory = ParseInventory(WithNodeIds(bytes), NodeId(0));
  if (!inventory.ok()) return;
  MustHold(inventory->is_object() && inventory->size() == 4, "an inventory is four lists");
  for (const auto& list : *inventory) MustHold(list.is_array(), "an inventory is four lists");
  nlohmann::ordered_json document = {{"schema_version", 1}, {"node_id", NodeId(0)}};
  document.update(*inventory);
  const std::string written = DumpJson(document);
  if (written.size() > 200 << 10) return;  // what was left out of a number's text may make it too long to be read
  const auto again = ParseInventory(written, NodeId(0));
  MustHold(again.ok() && *again == *inventory, "an inventory is the same when it is written again");
}

const Harness kHarness("inventory_record", Run);

}  // namespace
}  // namespace netsense::fuzz
