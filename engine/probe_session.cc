#include "engine/probe_session.h"

#include <fcntl.h>

#include "base/socket.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "transports/checked_session.h"

namespace netsense {

absl::StatusOr<ProbeSession> OpenProbe(const TransportRegistry& transports, const Pinning* pinning,
                                       const DialTarget& target, const v1::OpenSession& request, MonotonicTime deadline,
                                       const std::stop_token& stop) {
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

}  // namespace netsense
