#include "base/handshake/framing.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {

std::string FramePrefix(size_t size) {
  return {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
          static_cast<char>(size)};
}

absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message) {
  size_t size = message.ByteSizeLong();
  if (size > kMaxFrameBytes)
    return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes is too large"));
  std::string frame = FramePrefix(size);
  message.AppendToString(&frame);
  return frame;
}

absl::StatusOr<uint32_t> DecodeFrameLength(std::span<const uint8_t, kFramePrefixBytes> prefix) {
  uint32_t size = uint32_t{prefix[0]} << 24 | uint32_t{prefix[1]} << 16 | uint32_t{prefix[2]} << 8 | prefix[3];
  if (size > kMaxFrameBytes)
    return BrokenProtocol(absl::StrCat("a message of ", size, " bytes announced; the limit is ", kMaxFrameBytes));
  return size;
}

absl::Status WriteFrame(int fd, const google::protobuf::MessageLite& message, MonotonicTime deadline,
                        std::stop_token stop) {
  ASSIGN_OR_RETURN(auto frame, EncodeFrame(message));
  return WriteAll(fd, {reinterpret_cast<const uint8_t*>(frame.data()), frame.size()}, deadline, stop);
}

absl::StatusOr<std::string> ReadFrameBytes(int fd, MonotonicTime deadline, std::stop_token stop) {
  std::array<uint8_t, kFramePrefixBytes> prefix{};
  RETURN_IF_ERROR(ReadExactly(fd, prefix, deadline, stop));
  ASSIGN_OR_RETURN(auto size, DecodeFrameLength(prefix));
  std::string body(size, '\0');
  RETURN_IF_ERROR(ReadExactly(fd, {reinterpret_cast<uint8_t*>(body.data()), body.size()}, deadline, stop));
  return body;
}

absl::Status ReadFrame(int fd, google::protobuf::MessageLite* message, MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto body, ReadFrameBytes(fd, deadline, stop));
  if (!message->ParseFromString(body)) return BrokenProtocol("bytes that are no message");
  return absl::OkStatus();
}

}  // namespace netsense
