// Untrusted: a topology file as hwloc writes it. hwloc itself is tried in a process of its own for every file, so this
// is slow. Where hwloc dies of a file, that is what the process is for: libFuzzer, which that process has inherited,
// keeps such a file too (crash-*, oom-*), and goes on; only what ends this program is a finding. What must hold:
// machine.h.
#include "engine/inventory/inventory.h"
#include "engine/inventory/xml_file.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/memory_file.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto xml = inventory::ReadXmlFile(file.path());
  if (!xml.ok() || !xml->document->child("topology")) return;  // nccl_xml.cc has the other format
  if (const auto machine = inventory::ReadFrom(file.path(), {}); machine.ok()) CheckMachine(*machine);
}

const Harness kHarness("hwloc_xml", Run);

}  // namespace
}  // namespace netsense::fuzz
