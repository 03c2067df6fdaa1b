// The two ends of a TCP stream, whichever side the prober is on.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/tcp/channel.h"
#include "transports/transport.h"

namespace netsense::tcp {

// Payload of kStreamToPeer and kStreamFromPeer: bytes (0 = unbounded), duration in ns (0 = unbounded), window in ns.
using StreamRequestBytes = std::array<uint8_t, 24>;
StreamRequestBytes EncodeRequest(const StreamSpec& spec);
absl::StatusOr<StreamSpec> DecodeRequest(std::span<const uint8_t> payload);

// Payload of kStreamResult.
using StreamReportBytes = std::array<uint8_t, 40>;
StreamReportBytes EncodeReport(const StreamSample& sample);
absl::StatusOr<StreamSample> DecodeReport(std::span<const uint8_t> payload);

// Sends chunks until the spec's bounds or `max_bytes` are reached, then the end.
absl::Status SendStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                        const std::stop_token& stop);

// Counts chunks until the end. ResourceExhausted as soon as more than `max_bytes` are announced.
absl::StatusOr<StreamSample> ReceiveStream(Channel& channel, std::chrono::nanoseconds window, uint64_t max_bytes,
                                           MonotonicTime deadline, const std::stop_token& stop);

}  // namespace netsense::tcp
