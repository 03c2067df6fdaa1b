// Untrusted: where another node says that its door is. What must hold: it is its own node's, its port is one, rails and
// names are each one port's, and what is written again is the same.
#include "raylet_bridge/records/door_record.h"

#include <nlohmann/json.hpp>
#include <set>

#include "raylet_bridge/records/json_fields.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const auto door = ParseDoorRecord(WithNodeIds(bytes), NodeId(0));
  if (!door.ok()) return;
  MustHold(door->node_id == NodeId(0) && door->port != 0 && !door->address.empty(),
           "a door is its own node's, and somewhere");
  std::set<std::string> names;
  std::set<uint32_t> rails;
  for (const v1::Port& port : door->ports) {
    MustHold(!port.name().empty() && names.insert(port.name()).second, "a name is one port's");
    MustHold(!port.has_rail() || (port.rail() < kMostRails && rails.insert(port.rail()).second),
             "a rail is one port's");
  }
  MustHold(CountRails(*door) <= kMostRails, "there are no more rails than any machine has");
  (void)DoorPortName(*door);
  const auto again = ParseDoorRecord(DumpJson(DoorToJson(*door)), NodeId(0));
  MustHold(again.ok() && SameDoor(*door, *again) && again->ts_ms == door->ts_ms,
           "a door is the same when it is written again");
}

const Harness kHarness("door_record", Run);

}  // namespace
}  // namespace netsense::fuzz
