#include "raylet_bridge/cluster/protocol_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace netsense {
namespace {

constexpr size_t kNamed = 5;

}  // namespace

std::vector<std::string> ProtocolWarnings(const std::vector<NodeRails>& nodes) {
  uint32_t newest = 1;
  for (const NodeRails& node : nodes) newest = std::max(newest, node.door->protocol);
  std::string names;
  size_t older = 0;
  for (const NodeRails& node : nodes) {
    if (node.door->protocol == newest) continue;
    if (++older <= kNamed) names += (names.empty() ? "" : ", ") + node.label;
  }
  if (older == 0) return {};
  if (older > kNamed) names += fmt::format(" and {} more", older - kNamed);
  return {
      fmt::format("{} of {} nodes run an older release ({}): what is asked of them, and what they answer, is not bound "
                  "to the proof of the token, as it is between the others; upgrade them",
                  older, nodes.size(), names)};
}

}  // namespace netsense
