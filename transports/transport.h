// The contract that every backend keeps: measurement goes in, a sample comes out. No buffer crosses it, so each backend
// may use its fabric's fastest path and the numbers stay comparable.
//
// A backend times ONE ping or ONE bounded stream to ONE peer. It does not count, schedule, average or report.
//
// Calls block until done, until the deadline, or until the stop token is triggered. Errors are absl::Status and the
// codes are part of the contract:
//   Unavailable         refused, reset, no such host, no hardware. The session is over. Also what every later call gets
//                       once a session is over, whatever ended it.
//   DeadlineExceeded    Ping: a lost sample; the session lives on and a late echo is dropped by its sequence number.
//                       Anything else: the session is over.
//   Cancelled           the stop token was triggered. The session is over.
//   Unauthenticated     the two sides do not share the token.
//   FailedPrecondition  no common protocol version.
//   NotFound            somebody else answers at that address.
//   Aborted             the peer is BUSY: try again later.
//   ResourceExhausted   more than the peer (or this process) gives.
//   InvalidArgument     a spec outside the backend's limits.
//   Unimplemented       not among the capabilities, or the peer does not run this transport.
//   DataLoss            the echo differs from what was sent. The session is over.
//   Internal            a fault on our own side (no descriptors left, say): nothing is known of the peer.
// A peer that breaks the protocol (a frame of another session, or larger than allowed) is Unavailable: it answers, but
// not with what was agreed upon. What a peer says of a measurement is judged around every session (checked_session.h).
//
// Between the two timestamps of a sample a backend does nothing that is not the probe: no allocation, no lock, no log
// line, no other system call.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/handshake/frame_seal.h"
#include "base/unique_fd.h"
#include "netsense/measurement.pb.h"
#include "netsense/session.pb.h"
#include "transports/options.h"

namespace netsense {

struct PingSpec {
  uint32_t payload_bytes = 64;  // each way, without the backend's own header; 0 is a header alone
};

// One round trip. `rtt` is the full round trip as the prober saw it, never half of it.
struct RttSample {
  std::chrono::nanoseconds rtt{};
  // How long the responder held the message, by the responder's clock; absent if the backend cannot tell.
  std::optional<std::chrono::nanoseconds> responder_hold;
  // From departure to arrival by a better clock than user space's, where both sides have one: the hold is then counted
  // by the responder's, from arrival to the call that sends.
  std::optional<std::chrono::nanoseconds> stamped_rtt = {};
  v1::TimestampSource source = v1::TIMESTAMP_SOURCE_USER;
  // Segments that TCP sent again since the session's last answer, on both sides: packets that were lost, though the
  // answer came in time. Absent where the backend cannot tell.
  std::optional<uint32_t> retransmits = {};

  // What is left of the round trip, by the best clock, when the responder's hold is taken out; never negative.
  std::chrono::nanoseconds network_rtt() const {
    return std::max(stamped_rtt.value_or(rtt) - responder_hold.value_or(std::chrono::nanoseconds{}),
                    std::chrono::nanoseconds{});
  }
  // What the prober's own host added: 0 where only user space has a clock.
  std::chrono::nanoseconds host_delay() const { return rtt - stamped_rtt.value_or(rtt); }
};

enum class Direction { kToPeer, kFromPeer };

// A stream ends when `bytes` have been sent or `duration` has passed, whichever comes first; zero means "no such
// bound", and one bound must be given. It never moves more than the session's max_stream_bytes.
struct StreamSpec {
  Direction direction = Direction::kToPeer;
  uint64_t bytes = 0;
  std::chrono::nanoseconds duration{};
  uint32_t message_bytes = 0;  // of one message or system call; 0 = the backend's choice
  // Bandwidth is also taken over windows of this length, to show the worst and the best.
  std::chrono::nanoseconds window = std::chrono::milliseconds(100);
  // Ends the stream in order, as its bounds do: what was moved until then is counted and told. A stream that the
  // receiver fetches (verbs, mode "read", to the peer) goes on to its bounds.
  std::stop_token finish = {};
  // While the stream runs: payload that this end has handed over or received so far, for whoever watches; in no sample.
  // kMovedNotKnown where the peer fetches it.
  std::atomic<uint64_t>* moved = nullptr;
};
inline constexpr uint64_t kMovedNotKnown = UINT64_MAX;

// Fewer receipts, or a shorter time between the first and the last one, tell how the receiver's host wakes up and not
// what the network carries.
inline constexpr uint32_t kFewestReceipts = 16;
inline constexpr std::chrono::microseconds kShortestTimed{200};

// What the RECEIVER of the stream counted, by the receiver's clock.
struct StreamSample {
  uint64_t bytes = 0;     // payload received
  uint32_t receipts = 0;  // at different moments
  // Between the first and the last receipt; `bytes_in_elapsed` arrived within it (the first receipt only starts the
  // clock).
  std::chrono::nanoseconds elapsed{};
  uint64_t bytes_in_elapsed = 0;
  double min_window_bps = 0;  // over whole windows; equal to bps(), or 0, when there was none
  double max_window_bps = 0;
  // It came out of buffers, faster than a port carries: no rate of the network.
  bool buffered = false;

  // What the SENDER knows of a stream to the peer, to judge the receiver's count by: payload that it handed over, and
  // how long it went on to hand over after so much that no buffers on the way hold more (kMostBuffered).
  struct Sent {
    uint64_t bytes = 0;
    std::chrono::nanoseconds past_buffers{};
  };
  std::optional<Sent> sent = {};  // absent: a stream from the peer, or one that the receiver fetched

  // Payload bits per second, decimal; nothing where the stream was too short to be timed.
  std::optional<double> bps() const {
    if (receipts < kFewestReceipts || elapsed < kShortestTimed || buffered) return std::nullopt;
    return static_cast<double>(bytes_in_elapsed) * 8 / std::chrono::duration<double>(elapsed).count();
  }
};

// A connection that passed the door (transports/door): both sides have proved the token, and the responder has granted
// `request`.
struct DoorConnection {
  UniqueFd fd;  // a connected TCP socket, non-blocking, TCP_NODELAY
  std::string peer_address;
  uint16_t protocol_version = 0;
  FrameSeal seal = {};  // of further frames
  v1::OpenSession request;
  v1::SessionReply::Grant grant;
};

struct SessionDetails {
  std::string mode;    // one of Capabilities::modes
  std::string device;  // as the backend names it ("rxe0:1", "eth0"); empty where it is the kernel's choice
};

// The prober's end. Used by one thread at a time. The destructor closes the session on both sides.
class Session {
 public:
  virtual ~Session() = default;
  virtual absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) = 0;
  virtual absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) = 0;
  // Who answers, as it introduced itself.
  virtual const v1::SessionReply::Grant& peer() const = 0;
  // By which of the backend's ways, and through which device of ours.
  virtual SessionDetails details() const = 0;
};

struct Capabilities {
  bool ping = false;
  bool stream_to_peer = false;
  bool stream_from_peer = false;
  bool busy_poll = false;
  bool responder_hold = false;
  uint32_t max_ping_payload_bytes = 0;
  uint32_t max_message_bytes = 0;       // of a stream
  std::vector<std::string> modes = {};  // of TransportOptions.mode, the default first
  // How TransportOptions.device and peer_device are written, in words; empty = its sessions go by addresses alone.
  std::string devices = {};
  bool rdma = false;        // moves by RDMA where both ports have an RDMA device
  bool needs_rdma = false;  // and does not go without
  std::vector<OptionSpec> options = {};

  // Those that are there, as others hear of them (TransportInfo.capabilities).
  std::vector<std::string> Names() const;
  bool HasOption(std::string_view name) const;
};

// How long a responder bears with a prober.
struct ServeLimits {
  std::chrono::nanoseconds open = deadlines::kFabricConnect();  // for a fabric that connects in its own way
  std::chrono::nanoseconds idle = deadlines::kSessionIdle();    // nothing asked for so long: the session is closed
  std::chrono::nanoseconds total = std::chrono::hours(24 * 365);
  // A responder that waits so long before each echo, and counts it as its hold: for tests of accuracy.
  std::chrono::nanoseconds hold_pings{};
};

// A backend. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  virtual Capabilities capabilities() const = 0;
  // Ok when this host can run it, else Unavailable with the exact reason ("no RDMA device"). A transport is never
  // silently absent. Does not block: it is what is known so far.
  virtual absl::Status availability() const = 0;
  // The same for sessions with this peer (empty: with anybody), once a backend that has to start first knows: blocks
  // until `deadline` at most.
  virtual absl::Status AwaitAvailability(const std::string& /*peer_address*/, MonotonicTime /*deadline*/,
                                         std::stop_token) const {
    return availability();
  }
  // Turns a granted connection into the prober's end of a session. At both ends the request's options have passed
  // CheckOptions.
  virtual absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                           std::stop_token stop) = 0;
  // The responder's end: serves the granted session until the prober leaves (Ok), breaks the rules, the limits end it
  // (DeadlineExceeded), or `stop`.
  virtual absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) = 0;
};

}  // namespace netsense
