#include "engine/probe_session.h"

#include <fcntl.h>

#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "transports/checked_session.h"

namespace netsense {
namespace {

absl::StatusOr<ProbeSession> Open(const TransportRegistry& transports, const Pinning* pinning, const DialTarget& target,
                                  const v1::OpenSession& request, MonotonicTime deadline, const std::stop_token& stop) {
  auto transport = transports.Find(request.transport());
  if (!transport.ok()) return absl::InternalError(transport.status().message());  // our side lacks it
  const Capabilities capabilities = (*transport)->capabilities();
  if (auto fit = CheckOptions(request.options(), (*transport)->name(), capabilities); !fit.ok()) return fit;
  auto connection = DialDoor(target, request, deadline, stop);
  if (!connection.ok()) return connection.status();
  ProbeSession probe;
  probe.rdma = capabilities.rdma;
  probe.port = PortOfAddress(LocalAddress(connection->fd.get()));
  if (pinning != nullptr) {
    probe.binding = pinning->Plan(probe.port);
    pinning->Apply(probe.binding);
  }
  probe.connection = UniqueFd(fcntl(connection->fd.get(), F_DUPFD_CLOEXEC, 0));
  auto session = ConnectChecked(**transport, *std::move(connection), EndOf(probe.port).speed_bps, deadline, stop);
  if (!session.ok()) return session.status();
  probe.session = *std::move(session);
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
