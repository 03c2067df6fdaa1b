// Untrusted: a topology file in NCCL's format, as providers hand them out. What must hold: machine.h; and as a file of
// places (--topology-override) it places the machine that it describes, or says why not.
#include "engine/inventory/nccl_xml.h"

#include "engine/inventory/inventory.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/memory_file.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto xml = inventory::ReadXmlFile(file.path());
  if (!xml.ok() || !xml->document->child("system")) return;  // hwloc_xml.cc has the other format
  const auto node = inventory::ReadNcclXml(*xml);
  const auto machine = inventory::ReadFrom(file.path(), {});
  MustHold(node.ok() || !machine.ok(), "who shows a machine could read it");
  if (!machine.ok()) return;
  CheckMachine(*machine);
  inventory::Node placed = *machine;
  if (inventory::ApplyPlaces(*node, &placed).ok()) CheckMachine(placed);
}

const Harness kHarness("nccl_xml", Run);

}  // namespace
}  // namespace netsense::fuzz
