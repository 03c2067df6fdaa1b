#include "tests/fuzz/machine.h"

#include <algorithm>
#include <cmath>
#include <pugixml.hpp>
#include <string>

#include "bench/topo/drawing.h"
#include "bench/topo/json.h"
#include "bench/topo/table.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/to_proto.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

using inventory::Node;

// The picture of thousands of devices takes megabytes: a fuzzer need not draw it.
constexpr size_t kMostDrawn = 64;

void CheckFacts(const Node& node) {
  MustHold(inventory::CheckSize(node).ok(), "there are no more devices than any machine has");
  for (const inventory::Port& port : node.ports) {
    MustHold(!port.name.empty(), "every port has a name");
    MustHold(static_cast<double>(port.speed_bps) <= inventory::kMaxPortBps, "no port is faster than any is");
    MustHold(std::isfinite(port.pcie.gbps) && port.pcie.gbps >= 0, "a link's rate is a number");
  }
  for (const inventory::Gpu& gpu : node.gpus) {
    MustHold(std::isfinite(gpu.pcie.gbps) && gpu.pcie.gbps >= 0, "a link's rate is a number");
    for (const auto& [other, links] : gpu.nvlinks)
      MustHold(other < node.gpus.size() && links > 0, "NVLinks lead to a GPU");
  }
  for (const inventory::NumaNode& numa : node.numa_nodes) {
    MustHold(std::is_sorted(numa.cpus.begin(), numa.cpus.end()), "processors rise");
    if (numa.cpus.empty()) continue;
    const auto again = inventory::ParseCpuList(inventory::CpuList(numa.cpus));
    MustHold(again.ok() && *again == numa.cpus, "a list of processors is the same when it is read again");
  }
}

}  // namespace

void CheckMachine(const Node& node) {
  CheckFacts(node);
  v1::EngineInfo info;
  inventory::Describe(node, &info);
  v1::EngineInfo again;
  MustHold(again.ParseFromString(info.SerializeAsString()), "the message of a machine can be read");
  if (node.gpus.size() + node.ports.size() > kMostDrawn) return;
  const std::string json = TopologyJson(node).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  MustHold(nlohmann::json::accept(json), "the JSON of a machine is JSON");
  const std::string table = TopologyTable(node);
  MustHold(
      std::all_of(table.begin(), table.end(), [](unsigned char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }),
      "the table of a machine steers no terminal");
  pugi::xml_document picture;
  MustHold(picture.load_string(TopologySvg(node).c_str()), "the picture of a machine is XML");
  MustHold(std::string_view(picture.document_element().name()) == "svg" && !picture.document_element().next_sibling(),
           "the picture of a machine is one picture");
}

}  // namespace netsense::fuzz
