// Opening a session to measure with: dialled, pinned near the port that it leaves by, and checked. One way for the
// schedule (prober.h) and for what is measured on demand (measure.h).
#pragma once

#include <memory>
#include <stop_token>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "engine/pinning.h"
#include "transports/door/dial.h"
#include "transports/registry.h"
#include "transports/transport.h"

namespace netsense {

struct ProbeSession {
  std::unique_ptr<Session> session;
  UniqueFd connection;  // a second descriptor of the door's connection; none when there was none left
  v1::Port port;        // that it leaves by; empty where that cannot be told
  bool rdma = false;    // as Capabilities
  v1::Binding binding;  // of this thread, from now on
};

// `request` says which transport. `pinning`: null leaves the thread where it is. Codes as transport.h, and Internal
// where this process does not have the transport.
absl::StatusOr<ProbeSession> OpenProbe(const TransportRegistry& transports, const Pinning* pinning,
                                       const DialTarget& target, const v1::OpenSession& request, MonotonicTime deadline,
                                       const std::stop_token& stop);

}  // namespace netsense
