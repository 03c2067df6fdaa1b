#include "engine/probe_session.h"

#include <fcntl.h>

#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "transports/checked_session.h"

namespace netsense {
namespace {

absl::StatusOr<ProbeSession> Open(const TransportRegistry& transports, const Pinning* pinning, const DialTarget& target,
                                  const v1::OpenSession& request, MonotonicTime deadline, const std::stop_token& stop) {
  auto transport = transports.Await(request.transport(), deadline, stop);
  if (!transport.ok()) return absl::InternalError(transport.status().message());  // our side lacks it
  const Capabilities capabilities = (*transport)->capabilities();
  RETURN_IF_ERROR(CheckOptions(request.options(), (*transport)->name(), capabilities));
  ASSIGN_OR_RETURN(auto connection, DialDoor(target, request, deadline, stop));
  ProbeSession probe;
  probe.rdma = capabilities.rdma;
  probe.port = PortOfAddress(LocalAddress(connection.fd.get()));
  if (pinning != nullptr) {
    probe.binding = pinning->Plan(probe.port);
    pinning->Apply(probe.binding);
  }
  probe.connection = UniqueFd(fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 0));
  ASSIGN_OR_RETURN(auto session,
                   ConnectChecked(**transport, std::move(connection), EndOf(probe.port).speed_bps, deadline, stop));
  probe.session = std::move(session);
  return probe;
}

}  // namespace

absl::StatusOr<ProbeSession> OpenProbe(const TransportRegistry& transports, const Pinning* pinning,
                                       const DialTarget& target, const v1::OpenSession& request, MonotonicTime deadline,
                                       const std::stop_token& stop) {
  auto probe = Open(transports, pinning, target, request, deadline, stop);
  if (spdlog::should_log(spdlog::level::debug)) {
    const std::string peer = FormatHostPort(target.host, target.port);
    if (probe.ok())
      spdlog::debug("a session over {} with {} is open, by port '{}'", request.transport(), peer, probe->port.name());
    else
      spdlog::debug("no session over {} with {}: {}", request.transport(), peer, probe.status().ToString());
  }
  return probe;
}

}  // namespace netsense
