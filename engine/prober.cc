#include "engine/prober.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "engine/stream_evidence.h"
#include "transports/frame.h"

namespace netsense {
namespace {

absl::StatusOr<ProbeSession> Open(const ProbeContext& context, const v1::PlannedPath& path,
                                  const std::string& self_node_id, v1::SessionPurpose purpose,
                                  uint64_t max_stream_bytes, MonotonicTime deadline, const std::stop_token& stop) {
  v1::OpenSession request;
  request.set_transport(path.transport());
  request.set_purpose(purpose);
  request.set_target_node_id(path.dst_node_id());
  request.set_source_node_id(self_node_id);
  request.set_wait_mode(v1::WAIT_MODE_BLOCK);
  request.set_software_version(NETSENSE_VERSION);
  request.set_max_stream_bytes(max_stream_bytes);
  *request.mutable_options() = path.options();
  request.set_target_port(path.destination_port());
  DialTarget target{path.dst_address(), static_cast<uint16_t>(path.dst_port()), {}, context.token};
  target.from.address = path.source_address();
  if (!path.source_port().empty() && !path.source_address().empty()) {
    target.from.netdev = NetdevOfAddress(path.source_address());
    if (target.from.netdev.empty())
      return absl::InternalError(
          absl::StrCat("port ", path.source_port(), " has lost its address ", path.source_address()));
  }
  return OpenProbe(*context.transports, context.pinning, target, request, deadline, stop);
}

// Payload of a ping that is one full packet on this port's way: TCP says what it takes a segment to be, RDMA sends
// packets of its path MTU. 0 = not known.
uint32_t FullSegment(const ProbeSession& probe) {
  if (probe.rdma) return static_cast<uint32_t>(RdmaMtu(probe.port.mtu()));
  int segment = 0;
  socklen_t size = sizeof(segment);
  if (getsockopt(probe.connection.get(), IPPROTO_TCP, TCP_MAXSEG, &segment, &size) != 0) return 0;
  return segment > static_cast<int>(kHeaderBytes) ? static_cast<uint32_t>(segment) : 0;
}

}  // namespace

absl::StatusOr<RttSample> PathProber::Ping(const v1::PlannedPath& path, const std::string& self_node_id,
                                           std::stop_token stop) {
  const std::chrono::milliseconds timeout(path.ping_timeout_ms());
  if (!probe_.session) {
    ASSIGN_OR_RETURN(auto opened,
                     Open(*context_, path, self_node_id, v1::SESSION_PURPOSE_PING, 0, MonotonicNow() + timeout, stop));
    probe_ = std::move(opened);
    probe_.connection.Reset();
  } else if (context_->pinning != nullptr) {
    context_->pinning->Apply(probe_.binding);
  }
  auto sample = probe_.session->Ping({.payload_bytes = path.ping_payload_bytes()}, MonotonicNow() + timeout, stop);
  if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) {
    spdlog::debug("the session over {} with {} ended: {}", path.transport(), path.dst_address(),
                  sample.status().ToString());
    DropSession();
  }
  return sample;
}

BandwidthOutcome ProbeBandwidth(const ProbeContext& context, const v1::PlannedPath& path, uint64_t bytes,
                                const std::string& self_node_id, std::stop_token stop) {
  BandwidthOutcome outcome;
  const v1::Port port = SourcePort(path);
  auto pass = context.gate->TryEnter(port.name(), port.speed_bps(), bytes);
  if (!pass.ok()) {
    outcome.stream = pass.status();
    return outcome;
  }
  const MonotonicTime deadline = MonotonicNow() + std::chrono::milliseconds(path.bandwidth_timeout_ms());
  auto probe = Open(context, path, self_node_id, v1::SESSION_PURPOSE_STREAM, bytes, deadline, stop);
  if (!probe.ok()) {
    outcome.stream = probe.status();
    return outcome;
  }
  const StreamEvidence evidence(port, {&*probe});
  outcome.stream = probe->session->Stream({.bytes = bytes}, deadline, stop);
  outcome.counters = evidence.Counted();
  outcome.expected = evidence.Expected();
  return outcome;
}

std::string FindBlackHole(const ProbeContext& context, const v1::PlannedPath& path, const std::string& self_node_id,
                          std::stop_token stop) {
  const std::chrono::milliseconds timeout(path.ping_timeout_ms());
  auto probe = Open(context, path, self_node_id, v1::SESSION_PURPOSE_PING, 0, MonotonicNow() + timeout, stop);
  if (!probe.ok()) return "";
  const uint32_t small = path.ping_payload_bytes();
  const uint32_t segment = FullSegment(*probe);
  auto ping = [&](uint32_t payload) {
    return probe->session->Ping({.payload_bytes = payload}, MonotonicNow() + timeout, stop).status();
  };
  // One of a few bytes passes, on the same session and just now: else it is not the size that matters.
  if (segment <= small || !ping(small).ok() || !absl::IsDeadlineExceeded(ping(segment))) return "";
  return absl::StrCat(small, " B pass, ", segment, " B do not: MTU ", probe->port.mtu(),
                      " here, something on the way has less");
}

v1::Port SourcePort(const v1::PlannedPath& path) {
  if (!path.source_port().empty()) return PortNamed(path.source_port());
  if (!path.source_address().empty()) return PortOfAddress(path.source_address());
  auto address = SourceAddressTowards(path.dst_address());
  return address.ok() ? PortOfAddress(*address) : v1::Port();
}

}  // namespace netsense
