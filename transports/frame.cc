#include "transports/frame.h"

#include <endian.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

void Store32(uint8_t* into, uint32_t value) {
  value = htobe32(value);
  std::memcpy(into, &value, sizeof(value));
}
void Store64(uint8_t* into, uint64_t value) {
  value = htobe64(value);
  std::memcpy(into, &value, sizeof(value));
}
uint32_t Load32(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return be32toh(value);
}
uint64_t Load64(const uint8_t* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof(value));
  return be64toh(value);
}

}  // namespace

void EncodeHeader(const FrameHeader& header, uint8_t* into) {
  Store32(into, static_cast<uint32_t>(header.kind));
  Store32(into + 4, header.payload_bytes);
  Store64(into + 8, header.nonce);
  Store64(into + 16, header.sequence);
  Store64(into + 24, header.value);
}

FrameHeader DecodeHeader(const uint8_t* from) {
  return {static_cast<FrameKind>(Load32(from)), Load32(from + 4), Load64(from + 8), Load64(from + 16),
          Load64(from + 24)};
}

void ComposeFrame(FrameHeader header, std::span<const uint8_t> payload, std::vector<uint8_t>* message) {
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  message->resize(kHeaderBytes + payload.size());
  EncodeHeader(header, message->data());
  std::copy(payload.begin(), payload.end(), message->begin() + kHeaderBytes);
}

void ComposeMessage(FrameKind kind, uint64_t nonce, uint64_t sequence, const google::protobuf::MessageLite& payload,
                    std::vector<uint8_t>* message) {
  const std::string bytes = payload.SerializeAsString();
  ComposeFrame({.kind = kind, .nonce = nonce, .sequence = sequence},
               {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, message);
}

bool ParsePayload(std::span<const uint8_t> payload, google::protobuf::MessageLite* into) {
  return into->ParseFromArray(payload.data(), static_cast<int>(payload.size()));
}

void EncodePing(uint64_t nonce, uint64_t sequence, uint32_t payload_bytes, std::vector<uint8_t>* message) {
  message->resize(kHeaderBytes + payload_bytes);
  EncodeHeader({.kind = FrameKind::kPing, .payload_bytes = payload_bytes, .nonce = nonce, .sequence = sequence},
               message->data());
  std::memset(message->data() + kHeaderBytes, static_cast<int>(sequence & 0xff), payload_bytes);
}

bool EchoesPing(const std::vector<uint8_t>& message, std::span<const uint8_t> payload) {
  return payload.size() == message.size() - kHeaderBytes &&
         std::equal(payload.begin(), payload.end(), message.begin() + kHeaderBytes);
}

namespace {
constexpr uint64_t kHoldMask = (uint64_t{1} << 47) - 1;
constexpr uint64_t kFromArrival = uint64_t{1} << 47;
}  // namespace

uint64_t PackPong(int64_t hold_ns, bool from_arrival, uint32_t retransmits) {
  return std::min(static_cast<uint64_t>(std::max<int64_t>(hold_ns, 0)), kHoldMask) | (from_arrival ? kFromArrival : 0) |
         uint64_t{retransmits & kPongRetransmits} << 48;
}

PongValue UnpackPong(uint64_t value) {
  return {std::chrono::nanoseconds(static_cast<int64_t>(value & kHoldMask)), (value & kFromArrival) != 0,
          static_cast<uint32_t>(value >> 48)};
}

Echo EchoOf(const std::vector<uint8_t>& message, const FrameHeader& header, std::span<const uint8_t> payload) {
  const FrameHeader ping = DecodeHeader(message.data());
  if (header.kind != FrameKind::kPong || header.nonce != ping.nonce) return Echo::kWrong;
  if (header.sequence != ping.sequence) return header.sequence < ping.sequence ? Echo::kLate : Echo::kWrong;
  return EchoesPing(message, payload) ? Echo::kOurs : Echo::kWrong;
}

absl::Status LateEchoesOnly() { return absl::DeadlineExceededError("only late echoes of earlier pings in time"); }
absl::Status WrongEcho() { return absl::DataLossError("the echo differs from what was sent"); }

}  // namespace netsense
