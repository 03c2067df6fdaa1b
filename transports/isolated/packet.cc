#include "transports/isolated/packet.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace netsense::isolated {
namespace {

constexpr size_t kMaxDescriptors = 4;
// Before each message: an empty datagram would look like the end of the connection.
constexpr char kMark = 1;

absl::Status Gone(int error) {
  return absl::UnavailableError(absl::StrCat("the other process is gone", error == 0 ? "" : ": ", strerror(error)));
}

absl::Status Send(int fd, const google::protobuf::MessageLite& message, std::span<const int> descriptors, int flags) {
  std::string bytes = EncodePacket(message);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  while (sendmsg(fd, &header, flags | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    // ETOOMANYREFS: more descriptors are on their way than this process may have open.
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
      return absl::ResourceExhaustedError("the other process does not read");
    return Gone(errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair() {
  std::array<int, 2> pair;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return absl::InternalError(absl::StrCat("no socket pair: ", strerror(errno)));
  return std::pair(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

std::string EncodePacket(const google::protobuf::MessageLite& message) { return kMark + message.SerializeAsString(); }

absl::Status SendPacket(int fd, const google::protobuf::MessageLite& message, std::span<const int> descriptors) {
  return Send(fd, message, descriptors, 0);
}

absl::Status TrySendPacket(int fd, const google::protobuf::MessageLite& message, std::span<const int> descriptors) {
  return Send(fd, message, descriptors, MSG_DONTWAIT);
}

absl::Status ReceivePacket(int fd, google::protobuf::MessageLite* message, std::vector<UniqueFd>* descriptors) {
  // On the stack and not cleared: a session's thread comes here once per ping.
  char bytes[kMaxPacketBytes];
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control;
  iovec part{bytes, sizeof(bytes)};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t n = 0;
  while ((n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC)) < 0)
    if (errno != EINTR) return Gone(errno);
  for (cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr; rights = CMSG_NXTHDR(&header, rights)) {
    if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(rights) + i * sizeof(int), sizeof(int));
      UniqueFd owned(descriptor);
      if (descriptors != nullptr) descriptors->push_back(std::move(owned));
    }
  }
  if (n == 0) return Gone(0);
  if ((header.msg_flags & MSG_TRUNC) != 0 || !message->ParseFromArray(bytes + 1, static_cast<int>(n) - 1))
    return absl::InvalidArgumentError("a message that cannot be read");
  return absl::OkStatus();
}

}  // namespace netsense::isolated
