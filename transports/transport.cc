#include "transports/transport.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace netsense {

std::vector<std::string> Capabilities::Names() const {
  std::vector<std::string> names;
  if (ping) names.emplace_back("ping");
  if (stream_to_peer) names.emplace_back("stream_to_peer");
  if (stream_from_peer) names.emplace_back("stream_from_peer");
  if (busy_poll) names.emplace_back("busy_poll");
  if (responder_hold) names.emplace_back("responder_hold");
  return names;
}

absl::Status CheckOptions(const v1::TransportOptions& options, std::string_view name, const Capabilities& capabilities,
                          const KnownOptions& known) {
  auto refuse = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(name), " has no option ", what));
  };
  const auto& modes = capabilities.modes;
  if (!options.mode().empty() && std::find(modes.begin(), modes.end(), options.mode()) == modes.end())
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(name), " has no mode '", options.mode(), "'; there is: ", absl::StrJoin(modes, ", ")));
  if (!known.device && !options.device().empty()) return refuse("device");
  if (!known.device && !options.peer_device().empty()) return refuse("peer device");
  if (!known.ucx && !options.ucx_tls().empty()) return refuse("ucx tls");
  if (!known.ucx && options.ucx_max_rndv_rails() != 0) return refuse("ucx rails");
  if (!known.rdma && options.has_gid_index()) return refuse("gid index");
  if (!known.rdma && options.has_peer_gid_index()) return refuse("peer gid index");
  if (!known.rdma && options.service_level() != 0) return refuse("service level");
  if (!known.traffic_class && options.traffic_class() != 0) return refuse("traffic class");
  if (!known.rdma && options.path_mtu() != 0) return refuse("path MTU");
  return absl::OkStatus();
}

}  // namespace netsense
