// One protobuf message a datagram over a SOCK_SEQPACKET Unix socket, with descriptors beside it.
#pragma once

#include <google/protobuf/message_lite.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace netsense::isolated {

inline constexpr size_t kMaxPacketBytes = 64 * 1024;

// A connected pair; Internal when the system gives none.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair();

// The bytes of a message as one datagram.
std::string EncodePacket(const google::protobuf::MessageLite& message);

// Unavailable: the other end is gone. Blocks while the other end does not read.
absl::Status SendPacket(int fd, const google::protobuf::MessageLite& message, std::span<const int> descriptors = {});
// The same, but never blocks. ResourceExhausted: the other end does not read, and there is no room left.
absl::Status TrySendPacket(int fd, const google::protobuf::MessageLite& message, std::span<const int> descriptors = {});
// Blocks. Unavailable: the other end is gone; InvalidArgument: not such a message.
absl::Status ReceivePacket(int fd, google::protobuf::MessageLite* message,
                           std::vector<UniqueFd>* descriptors = nullptr);

}  // namespace netsense::isolated
