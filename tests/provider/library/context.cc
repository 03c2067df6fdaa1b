#include "tests/provider/library/context.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace netsense::provider {

Context::Context(UniqueFd connection) : ibv_context{}, fabric(std::move(connection)) {
  ops.poll_cq = PollCq;
  ops.req_notify_cq = RequestNotification;
  ops.post_send = PostSend;
  ops.post_recv = PostRecv;
  cmd_fd = fabric.get();
  num_comp_vectors = 1;
  pthread_mutex_init(&mutex, nullptr);
  abi_compat = nullptr;  // no verbs_context around it: verbs.h then takes the plain calls
}

wire::Reply Context::Ask(const wire::Call& call, UniqueFd* descriptor) {
  std::lock_guard lock(asking);
  wire::Reply reply;
  if (reply.error = Tell(call); reply.error != 0) return reply;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{&reply, sizeof(reply)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got;
  do got = recvmsg(fabric.get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got != sizeof(reply)) {
    reply.error = EIO;
    return reply;
  }
  if (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    UniqueFd taken(fd);
    if (descriptor != nullptr) *descriptor = std::move(taken);
  }
  return reply;
}

int Context::Tell(const wire::Call& call) {
  ssize_t sent;
  do sent = send(fabric.get(), &call, sizeof(call), MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == sizeof(call) ? 0 : EIO;
}

Queue* Context::FindQueue(uint32_t handle) {
  std::lock_guard lock(objects);
  auto found = queues.find(handle);
  return found == queues.end() ? nullptr : found->second;
}

Pair* Context::FindPair(uint32_t number) {
  std::lock_guard lock(objects);
  auto found = pairs.find(number);
  return found == pairs.end() ? nullptr : found->second;
}

std::string FabricFolder() {
  const char* folder = std::getenv(wire::kFabricVariable);
  return folder != nullptr ? folder : "";
}

}  // namespace netsense::provider
