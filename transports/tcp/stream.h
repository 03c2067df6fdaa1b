// The two ends of a TCP stream, whichever side the prober is on.
#pragma once

#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/tcp/channel.h"
#include "transports/transport.h"

namespace netsense::tcp {

// Sends chunks until the spec's bounds or `max_bytes` are reached, then the end; what was sent.
absl::StatusOr<StreamSample::Sent> SendStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes,
                                              MonotonicTime deadline, const std::stop_token& stop);

// Counts chunks until the end. ResourceExhausted as soon as more than `max_bytes` are announced.
absl::StatusOr<StreamSample> ReceiveStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes,
                                           MonotonicTime deadline, const std::stop_token& stop);

}  // namespace netsense::tcp
