#include "engine/prober.h"

#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "engine/port_counters.h"
#include "transports/door/dial.h"
#include "transports/socket.h"

namespace netsense {
namespace {

// `watch`, when given, gets a second descriptor of the connection.
absl::StatusOr<std::unique_ptr<Session>> OpenSession(const ProbeContext& context, const v1::PlannedPath& path,
                                                     const std::string& self_node_id, v1::SessionPurpose purpose,
                                                     MonotonicTime deadline, std::stop_token stop,
                                                     UniqueFd* watch = nullptr) {
  auto transport = context.transports->Find(path.transport());
  if (!transport.ok()) return absl::InternalError(transport.status().message());  // our side lacks it
  v1::OpenSession request;
  request.set_transport(path.transport());
  request.set_purpose(purpose);
  request.set_target_node_id(path.dst_node_id());
  request.set_source_node_id(self_node_id);
  request.set_wait_mode(v1::WAIT_MODE_BLOCK);
  request.set_software_version(NETSENSE_VERSION);
  if (purpose == v1::SESSION_PURPOSE_STREAM) request.set_max_stream_bytes(path.bandwidth_bytes());
  *request.mutable_options() = path.options();
  DialTarget target{path.dst_address(), static_cast<uint16_t>(path.dst_port()), {}, context.token};
  target.from.address = path.source_address();
  if (!path.source_port().empty() && !path.source_address().empty()) {
    target.from.netdev = NetdevOfAddress(path.source_address());
    if (target.from.netdev.empty())
      return absl::InternalError(
          absl::StrCat("port ", path.source_port(), " has lost its address ", path.source_address()));
  }
  request.set_target_port(path.destination_port());
  auto connection = DialDoor(target, request, deadline, stop);
  if (!connection.ok()) return connection.status();
  if (watch != nullptr) *watch = UniqueFd(fcntl(connection->fd.get(), F_DUPFD_CLOEXEC, 0));
  return (*transport)->Connect(*std::move(connection), deadline, stop);
}

}  // namespace

absl::StatusOr<RttSample> PathProber::Ping(const v1::PlannedPath& path, const std::string& self_node_id,
                                           std::stop_token stop) {
  std::chrono::milliseconds timeout(path.ping_timeout_ms());
  if (context_->pinning != nullptr) {
    if (!session_) binding_ = context_->pinning->Plan(SourcePort(path));
    context_->pinning->Apply(binding_);
  }
  if (!session_) {
    auto opened = OpenSession(*context_, path, self_node_id, v1::SESSION_PURPOSE_PING, MonotonicNow() + timeout, stop);
    if (!opened.ok()) return opened.status();
    session_ = *std::move(opened);
  }
  auto sample = session_->Ping({.payload_bytes = path.ping_payload_bytes()}, MonotonicNow() + timeout, stop);
  if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) session_.reset();
  return sample;
}

BandwidthOutcome MeasureBandwidth(const ProbeContext& context, const v1::PlannedPath& path,
                                  const std::string& self_node_id, std::stop_token stop) {
  BandwidthOutcome outcome;
  v1::Port port = SourcePort(path);
  auto pass = context.gate->TryEnter(port.name(), port.speed_bps(), path.bandwidth_bytes());
  if (!pass.ok()) {
    outcome.stream = pass.status();
    return outcome;
  }
  if (context.pinning != nullptr) context.pinning->Apply(context.pinning->Plan(port));
  MonotonicTime deadline = MonotonicNow() + std::chrono::milliseconds(path.bandwidth_timeout_ms());
  UniqueFd connection;
  auto session = OpenSession(context, path, self_node_id, v1::SESSION_PURPOSE_STREAM, deadline, stop, &connection);
  if (!session.ok()) {
    outcome.stream = session.status();
    return outcome;
  }
  auto counters = [&] {
    PortCounters now = ReadPortCounters(port);
    AddTcpCounters(connection.get(), &now);
    return now;
  };
  const PortCounters before = counters();
  outcome.stream = (*session)->Stream({.bytes = path.bandwidth_bytes()}, deadline, stop);
  outcome.counters = CounterDeltas(before, counters());
  outcome.expected = Expect(EndOf(port), EndOf((*session)->peer(), port.fabric()), path.transport());
  return outcome;
}

v1::Port SourcePort(const v1::PlannedPath& path) {
  if (!path.source_port().empty()) return PortNamed(path.source_port());
  if (!path.source_address().empty()) return PortOfAddress(path.source_address());
  auto address = SourceAddressTowards(path.dst_address());
  return address.ok() ? PortOfAddress(*address) : v1::Port();
}

}  // namespace netsense
