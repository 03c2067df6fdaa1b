// Carries out one probe of one path: opens and keeps its ping session, opens a session of its own for each bandwidth
// probe.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/token_ring.h"
#include "engine/pinning.h"
#include "engine/port_gate.h"
#include "engine/probe_session.h"
#include "netsense/engine.pb.h"
#include "transports/registry.h"
#include "transports/transport.h"

namespace netsense {

// What all paths of one engine share. Outlives every prober.
struct ProbeContext {
  const TransportRegistry* transports;
  PortGate* gate;
  TokenRing token;
  const Pinning* pinning = nullptr;      // null = threads stay where they are
  uint64_t max_stream_bytes = 64 << 20;  // that a stream may be made longer to
};

// One path's ping session. Used by one thread at a time.
class PathProber {
 public:
  explicit PathProber(const ProbeContext* context) : context_(context) {}

  // One round trip within the path's timeout; connects first when there is no session (the connect has the same bound).
  absl::StatusOr<RttSample> Ping(const v1::PlannedPath& path, const std::string& self_node_id, std::stop_token stop);
  // The session is opened anew by the next ping: after losses in a row the old connection may be stuck in its back-off.
  void DropSession() { probe_.session.reset(); }
  // The peer of the session; null when there is none.
  const v1::SessionReply::Grant* peer() const { return probe_.session ? &probe_.session->peer() : nullptr; }
  // Where the session's pings are sent from; as planned when it was opened.
  const v1::Binding& binding() const { return probe_.binding; }

 private:
  const ProbeContext* context_;
  ProbeSession probe_;
};

struct BandwidthOutcome {
  absl::StatusOr<StreamSample> stream = absl::UnknownError("");
  std::vector<v1::CounterDelta> counters;  // of our port and our connection, over the stream, also over one that failed
  v1::ExpectedBandwidth expected;
};

// One bandwidth probe of `bytes` towards the peer. Aborted: a port is taken, here or there. ResourceExhausted: a
// budget, here or there.
BandwidthOutcome ProbeBandwidth(const ProbeContext& context, const v1::PlannedPath& path, uint64_t bytes,
                                const std::string& self_node_id, std::stop_token stop);

// After a stream that failed on a path whose pings pass: whether one full segment passes, on a session of its own. What
// is in the way in words ("64 B pass, 8948 B do not: ..."); empty: the segment passed, or nothing can be said.
std::string FindBlackHole(const ProbeContext& context, const v1::PlannedPath& path, const std::string& self_node_id,
                          std::stop_token stop);

// The port that probes of this path leave from; an empty port when it can't be told.
v1::Port SourcePort(const v1::PlannedPath& path);

}  // namespace netsense
