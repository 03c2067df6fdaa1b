// Frames: the header that backends put before what they send, and the payload of a ping.
#pragma once

#include <google/protobuf/message_lite.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

namespace netsense {

enum class FrameKind : uint32_t {
  kPing = 1,     // payload is echoed
  kPong,         // value: PongValue
  kStreamOrder,  // payload: v1::StreamOrder; chunks follow, from whoever sends
  kChunk,        // payload_bytes of data
  kStreamEnd,
  kStreamReport,  // payload: v1::StreamReport
  kReady,         // where a fabric connects with the first message: that message
};

// On the wire: 32 bytes, big-endian, in this order.
struct FrameHeader {
  FrameKind kind{};
  uint32_t payload_bytes = 0;
  uint64_t nonce = 0;  // the session's, from the grant
  uint64_t sequence = 0;
  uint64_t value = 0;
};
inline constexpr size_t kHeaderBytes = 32;

void EncodeHeader(const FrameHeader& header, uint8_t* into);
FrameHeader DecodeHeader(const uint8_t* from);

// Header and payload in one piece; `message` is resized.
void ComposeFrame(FrameHeader header, std::span<const uint8_t> payload, std::vector<uint8_t>* message);

void ComposeMessage(FrameKind kind, uint64_t nonce, uint64_t sequence, const google::protobuf::MessageLite& payload,
                    std::vector<uint8_t>* message);
bool ParsePayload(std::span<const uint8_t> payload, google::protobuf::MessageLite* into);

// A ping's message. The payload changes with the sequence, so that an old echo can't pass for a new one.
void EncodePing(uint64_t nonce, uint64_t sequence, uint32_t payload_bytes, std::vector<uint8_t>* message);
// True when `payload` is that of the ping `message`.
bool EchoesPing(const std::vector<uint8_t>& message, std::span<const uint8_t> payload);

// The value of a pong. Bits 0 to 46: for how long the responder held the ping, in nanoseconds, at most 39 hours; bit
// 47: by the kernel's stamp of the ping's arrival. From bit 48 on: how many segments the responder's TCP has sent again
// in this session, modulo 2^16; 0 for ever where it is no TCP.
struct PongValue {
  std::chrono::nanoseconds hold;
  bool from_arrival;
  uint32_t retransmits;
};
inline constexpr uint32_t kPongRetransmits = 0xffff;
uint64_t PackPong(int64_t hold_ns, bool from_arrival, uint32_t retransmits);
PongValue UnpackPong(uint64_t value);

// What a frame is to a prober that has sent the ping `message` and waits for its echo.
enum class Echo {
  kOurs,
  kLate,   // of a ping that was given up: to be dropped, until the deadline
  kWrong,  // anything else
};
Echo EchoOf(const std::vector<uint8_t>& message, const FrameHeader& header, std::span<const uint8_t> payload);

absl::Status LateEchoesOnly();  // DeadlineExceeded: a lost ping
absl::Status WrongEcho();       // DataLoss

// Takes frames until one is the echo of the ping `message`: `receive` gives the next, as absl::StatusOr<FrameView>. The
// view holds until the next call. DeadlineExceeded: only late echoes came; DataLoss: something else; or what `receive`
// fails with.
struct FrameView {
  FrameHeader header;
  std::span<const uint8_t> payload;
};
template <typename Receive>
absl::Status AwaitEcho(const std::vector<uint8_t>& message, MonotonicTime deadline, const Receive& receive) {
  while (true) {
    const absl::StatusOr<FrameView> frame = receive();
    if (!frame.ok()) return frame.status();
    const Echo echo = EchoOf(message, frame->header, frame->payload);
    if (echo == Echo::kOurs) return absl::OkStatus();
    if (echo == Echo::kWrong) return WrongEcho();
    if (MonotonicNow() >= deadline) return LateEchoesOnly();
  }
}

// Segments that both ends' TCP has sent again from one echo to the next.
class RetransmitCount {
 public:
  // `ours` so far, and the pong's.
  uint32_t SinceLast(uint32_t ours, uint32_t peers) {
    const uint32_t both = (ours - ours_) + ((peers - peers_) & kPongRetransmits);
    ours_ = ours;
    peers_ = peers;
    return both;
  }

 private:
  uint32_t ours_ = 0, peers_ = 0;
};

}  // namespace netsense
