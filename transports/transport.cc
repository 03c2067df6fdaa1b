#include "transports/transport.h"

#include <algorithm>

namespace netsense {

std::vector<std::string> Capabilities::Names() const {
  std::vector<std::string> names;
  if (ping) names.emplace_back("ping");
  if (stream_to_peer) names.emplace_back("stream_to_peer");
  if (stream_from_peer) names.emplace_back("stream_from_peer");
  if (busy_poll) names.emplace_back("busy_poll");
  if (responder_hold) names.emplace_back("responder_hold");
  if (!devices.empty()) names.emplace_back("device");
  if (rdma) names.emplace_back("rdma");
  if (needs_rdma) names.emplace_back("needs_rdma");
  return names;
}

bool Capabilities::HasOption(std::string_view name) const {
  return std::any_of(options.begin(), options.end(), [name](const OptionSpec& option) { return option.name == name; });
}

}  // namespace netsense
