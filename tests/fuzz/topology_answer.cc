// Untrusted: a head's answer to GET /api/v0/network_topology, as `netsense-bridge status` and `netsense-bench matrix`
// read it. What must hold: what is shown steers no terminal, what is printed as JSON is JSON, and every node that is to
// be measured has a port.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "bench/matrix/nodes.h"
#include "raylet_bridge/cli/head_api.h"
#include "raylet_bridge/cli/status.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

void Status(const std::string& body) {
  const auto topology = ParseTopologyDocument(body);
  if (!topology.ok()) return;
  const std::string shown = RenderStatus(*topology, {.all = true});
  MustHold(
      std::all_of(shown.begin(), shown.end(), [](unsigned char c) { return c == '\n' || (c >= 0x20 && c != 0x7f); }),
      "the status steers no terminal");
  MustHold(nlohmann::json::accept(StatusJson(*topology)), "the status is JSON");
  (void)StatusExitCode(*topology);
}

void Nodes(const std::string& body) {
  constexpr size_t kMost = 64;  // each is resolved on a thread of its own
  if (IsNestedDeeper(body)) return;
  const auto answer = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto nodes = std::count(body.begin(), body.end(), '{') < static_cast<std::ptrdiff_t>(kMost)
                         ? matrix::NodesOfTopology(answer)
                         : absl::CancelledError();
  if (!nodes.ok()) return;
  for (const matrix::Node& node : *nodes)
    MustHold(!node.reason.empty() || (node.port != 0 && !node.address.empty()),
             "a node can be measured, or says why not");
  (void)matrix::NodesJson(*nodes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Run(std::string_view bytes) {
  const std::string body = WithNodeIds(bytes);
  Status(body);
  Nodes(body);
}

const Harness kHarness("topology_answer", Run);

}  // namespace
}  // namespace netsense::fuzz
