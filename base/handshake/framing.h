// Length-prefixed protobuf: 4 bytes of big-endian length, then at most 64 KiB of message. A longer one is refused
// before anything is allocated for it.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

namespace netsense {

inline constexpr uint32_t kMaxFrameBytes = 64 * 1024;
inline constexpr size_t kFramePrefixBytes = 4;

// ResourceExhausted when the message is too large to frame.
absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message);
// The prefix that announces `size` bytes.
std::string FramePrefix(size_t size);
// The length that a prefix announces; Unavailable above the limit.
absl::StatusOr<uint32_t> DecodeFrameLength(std::span<const uint8_t, kFramePrefixBytes> prefix);

// On a connected non-blocking socket. Codes as in socket.h; Unavailable, too, for bytes that are no such message.
absl::Status WriteFrame(int fd, const google::protobuf::MessageLite& message, MonotonicTime deadline,
                        std::stop_token stop);
// The message's bytes, whatever they are.
absl::StatusOr<std::string> ReadFrameBytes(int fd, MonotonicTime deadline, std::stop_token stop);
absl::Status ReadFrame(int fd, google::protobuf::MessageLite* message, MonotonicTime deadline, std::stop_token stop);

}  // namespace netsense
