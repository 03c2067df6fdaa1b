// One measurement on demand, with everything that stands beside its figures. The engine's schedule has a prober of its
// own (prober.h), which keeps its sessions.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/plain_transport.h"
#include "base/socket.h"
#include "base/token_ring.h"
#include "engine/histogram.h"
#include "engine/pinning.h"
#include "transports/registry.h"
#include "transports/transport.h"

namespace netsense {

struct MeasureTarget {
  std::string host;
  uint16_t port = 0;
  LocalEnd from;
  TokenRing token;
  std::string transport = kPlainTransport;
  v1::WaitMode wait_mode = v1::WAIT_MODE_BLOCK;
  v1::TransportOptions options = {};
  PinningOptions pinning = {};
};

// What was asked for; either a number of iterations or a duration.
struct MeasureBounds {
  std::optional<uint64_t> iterations;
  std::optional<std::chrono::nanoseconds> duration;
};

struct PingRequest {
  MeasureTarget target;
  MeasureBounds bounds;
  uint32_t payload_bytes = 64;
  uint64_t warmup = 100;  // pings before the first that counts
  std::chrono::nanoseconds interval{};
  std::chrono::milliseconds timeout{1000};
};

struct PingResult {
  Histogram rtt{8}, network_rtt{8}, responder_hold{8}, host_delay{8};  // as RttSample
  uint64_t lost = 0;
  // Of pings at an interval: those that were due and not sent, because an earlier one was still waited for. A stall
  // loses these, too, and shows in no percentile (coordinated omission: Gil Tene, "How NOT to Measure Latency").
  // Absent: back to back there is no schedule.
  std::optional<uint64_t> not_sent;
  std::optional<uint64_t> retransmits;  // as RttSample
  std::chrono::nanoseconds elapsed{};
  v1::TimestampSource source = v1::TIMESTAMP_SOURCE_UNSPECIFIED;
  v1::Binding binding;
  v1::SessionReply::Grant peer;
  SessionDetails details;
  bool interrupted = false;
  absl::Status failure;  // that ended it early, after the first round trip
};

struct BandwidthRequest {
  MeasureTarget target;
  MeasureBounds bounds;  // iterations of payload_bytes each
  uint64_t payload_bytes = 1 << 20;
  uint32_t message_bytes = 0;                                // as StreamSpec
  std::vector<Direction> directions = {Direction::kToPeer};  // at the same time
  uint32_t streams = 1;                                      // in each direction, each a session of its own
  std::chrono::nanoseconds warmup{};                         // streamed before and not counted
  std::chrono::nanoseconds window = std::chrono::milliseconds(100);
};

struct BandwidthResult {
  struct Stream {
    Direction direction = Direction::kToPeer;
    StreamSample sample;
  };
  std::vector<Stream> streams;
  // Of all streams together: bytes added up over the longest time any of them took; windows added up, so that the worst
  // is at most, and the best at least, what was there at any one time.
  StreamSample sample;
  v1::Binding binding;
  std::vector<v1::CounterDelta> counters;  // of our port and our connection, over the stream
  v1::ExpectedBandwidth expected;
  v1::SessionReply::Grant peer;
  SessionDetails details;
  bool interrupted = false;
};

// Share of the work that is done, 0 to 1.
using OnProgress = std::function<void(double)>;

// What all streams moved in about a second, as this end counts it: what it handed over, or received. For whoever
// watches; the figures are what the receivers count.
struct BandwidthInterval {
  std::chrono::nanoseconds since_start{}, length{};        // at its end
  std::optional<uint64_t> to_peer_bytes, from_peer_bytes;  // nothing: no such stream, or this end cannot know
};
using OnInterval = std::function<void(const BandwidthInterval&)>;

// Codes as transport.h. A stop after the first sample gives what was measured so far, `interrupted`: a stream is ended
// in order, within deadlines::kFinish, or is Cancelled.
absl::StatusOr<PingResult> MeasurePing(const TransportRegistry& transports, const PingRequest& request,
                                       const OnProgress& progress, std::stop_token stop);
// `on_interval`, from a thread of its own, once a second while the streams run.
absl::StatusOr<BandwidthResult> MeasureBandwidth(const TransportRegistry& transports, const BandwidthRequest& request,
                                                 std::stop_token stop, const OnInterval& on_interval = {});

}  // namespace netsense
