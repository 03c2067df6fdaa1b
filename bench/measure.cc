#include "bench/measure.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "base/process.h"
#include "engine/expectation.h"
#include "engine/local_ports.h"
#include "engine/port_counters.h"
#include "transports/door/dial.h"

namespace netsense {
namespace {

constexpr std::chrono::seconds kConnectLimit{5};
constexpr std::chrono::seconds kDrainLimit{30};  // for what is still on its way when a timed stream ends
constexpr std::chrono::hours kUntimedLimit{1};
constexpr uint64_t kPingsPerProgress = 256;

struct Opened {
  std::unique_ptr<Session> session;
  UniqueFd connection;  // a second descriptor of the door's connection
  v1::Port port;        // that it leaves by
  v1::Binding binding;  // of this thread, from now on
};

absl::StatusOr<Opened> Open(const TransportRegistry& transports, const MeasureTarget& target,
                            v1::SessionPurpose purpose, uint64_t max_stream_bytes, std::stop_token stop) {
  auto transport = transports.Find(target.transport);
  if (!transport.ok()) return transport.status();
  v1::OpenSession request;
  request.set_transport(target.transport);
  request.set_purpose(purpose);
  request.set_wait_mode(target.wait_mode);
  *request.mutable_options() = target.options;
  request.set_max_stream_bytes(max_stream_bytes);
  request.set_software_version(NETSENSE_VERSION);
  MonotonicTime deadline = MonotonicNow() + kConnectLimit;
  auto connection = DialDoor({target.host, target.port, target.from, target.token}, request, deadline, stop);
  if (!connection.ok()) return connection.status();
  auto pinning = Pinning::Create(target.pinning);
  if (!pinning.ok()) return pinning.status();
  Opened opened;
  opened.port = PortOfAddress(LocalAddress(connection->fd.get()));
  opened.binding = (*pinning)->Plan(opened.port);
  (*pinning)->Apply(opened.binding);
  opened.connection = UniqueFd(fcntl(connection->fd.get(), F_DUPFD_CLOEXEC, 0));
  auto session = (*transport)->Connect(*std::move(connection), deadline, stop);
  if (!session.ok()) return session.status();
  opened.session = *std::move(session);
  return opened;
}

}  // namespace

absl::StatusOr<PingResult> MeasurePing(const TransportRegistry& transports, const PingRequest& request,
                                       const OnProgress& progress, std::stop_token stop) {
  auto opened = Open(transports, request.target, v1::SESSION_PURPOSE_PING, 0, stop);
  if (!opened.ok()) return opened.status();
  Session* const session = opened->session.get();
  opened->connection.Reset();
  PingResult result;
  result.peer = session->peer();
  result.details = session->details();
  result.binding = opened->binding;
  PingSpec spec{.payload_bytes = request.payload_bytes};
  for (uint64_t i = 0; i < request.warmup; ++i) {
    auto sample = session->Ping(spec, MonotonicNow() + request.timeout, stop);
    if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) return sample.status();
    if (stop.stop_requested()) return absl::CancelledError("interrupted during the warm-up: nothing was measured");
  }

  MonotonicTime start = MonotonicNow();
  absl::Status failure;
  for (uint64_t i = 0; !stop.stop_requested(); ++i) {
    MonotonicTime now = MonotonicNow();
    if (request.bounds.iterations ? i >= *request.bounds.iterations : now - start >= *request.bounds.duration) break;
    auto sample = session->Ping(spec, now + request.timeout, stop);
    if (sample.ok()) {
      result.rtt.Add(sample->rtt);
      result.network_rtt.Add(sample->network_rtt());
      if (sample->responder_hold) result.responder_hold.Add(*sample->responder_hold);
      result.source = sample->source;
    } else if (absl::IsDeadlineExceeded(sample.status())) {
      ++result.lost;
      failure = sample.status();
    } else if (!absl::IsCancelled(sample.status())) {
      return sample.status();
    }
    if (i % kPingsPerProgress == 0 || request.interval.count() > 0) {
      progress(request.bounds.iterations ? static_cast<double>(i) / static_cast<double>(*request.bounds.iterations)
                                         : std::chrono::duration<double>(now - start) /
                                               std::chrono::duration<double>(*request.bounds.duration));
    }
    if (request.interval.count() > 0) SleepUnlessStopped(stop, request.interval - (MonotonicNow() - now));
  }
  result.elapsed = MonotonicNow() - start;
  result.interrupted = stop.stop_requested();
  if (result.rtt.count() == 0)
    return failure.ok() ? absl::CancelledError("interrupted: nothing was measured") : failure;
  return result;
}

absl::StatusOr<BandwidthResult> MeasureBandwidth(const TransportRegistry& transports, const BandwidthRequest& request,
                                                 std::stop_token stop) {
  StreamSpec spec{.direction = request.direction, .window = request.window};
  uint64_t max_bytes = std::numeric_limits<uint64_t>::max();
  MonotonicTime deadline = MonotonicNow() + kUntimedLimit;
  if (request.bounds.iterations) {
    spec.bytes = max_bytes = *request.bounds.iterations * request.payload_bytes;
  } else {
    spec.duration = *request.bounds.duration;
    deadline = MonotonicNow() + kConnectLimit + spec.duration + kDrainLimit;
  }
  auto opened = Open(transports, request.target, v1::SESSION_PURPOSE_STREAM, max_bytes, stop);
  if (!opened.ok()) return opened.status();
  auto counters = [&] {
    PortCounters now = ReadPortCounters(opened->port);
    AddTcpCounters(opened->connection.get(), &now);
    return now;
  };
  const PortCounters before = counters();
  auto sample = opened->session->Stream(spec, deadline, stop);
  if (!sample.ok()) return sample.status();
  BandwidthResult result;
  result.sample = *sample;
  result.binding = opened->binding;
  result.counters = CounterDeltas(before, counters());
  result.peer = opened->session->peer();
  result.details = opened->session->details();
  result.expected = Expect(EndOf(opened->port), EndOf(result.peer, opened->port.fabric()), request.target.transport);
  return result;
}

}  // namespace netsense
