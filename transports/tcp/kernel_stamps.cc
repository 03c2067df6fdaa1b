#include "transports/tcp/kernel_stamps.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

// After <ctime>: they do not bring what they need.
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

namespace netsense::tcp {
namespace {

#ifndef SOF_TIMESTAMPING_OPT_ID_TCP  // since Linux 6.3
#define SOF_TIMESTAMPING_OPT_ID_TCP (1 << 16)
#endif

// Places are counted from what was sent, not from what was acknowledged; older kernels do not know that flag, and here
// both are the same: the peer has answered all that was sent before.
constexpr uint32_t kReport =
    SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY | SOF_TIMESTAMPING_OPT_ID;

// The kernel stamps the last byte of a send, which leaves late where a message is longer than the window is open: so
// the stamp is asked for what certainly fits into the first packet.
constexpr size_t kFirstBytes = 512;

int64_t Nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

struct Control {
  alignas(cmsghdr) std::array<uint8_t, 256> bytes;
};

int64_t SoftwareStamp(const cmsghdr* control) {
  scm_timestamping stamps;
  std::memcpy(&stamps, CMSG_DATA(control), sizeof(stamps));
  return Nanoseconds(stamps.ts[0]);
}

}  // namespace

int64_t RealtimeNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now);
}

bool KernelStamps::Enable(int fd) {
  uint32_t flags = kReport | SOF_TIMESTAMPING_OPT_ID_TCP;
  enabled_ = setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0;
  if (!enabled_) {
    flags = kReport;
    enabled_ = setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0;
  }
  return enabled_;
}

ssize_t KernelStamps::Receive(int fd, std::span<uint8_t> into, int flags, int64_t* arrival) {
  Control control;
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t n = recvmsg(fd, &message, flags);
  *arrival = 0;
  if (n <= 0) return n;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) *arrival = SoftwareStamp(c);
  return n;
}

ssize_t KernelStamps::SendStamped(int fd, std::span<const uint8_t> bytes) {
  const bool more = bytes.size() > kFirstBytes;
  bytes = bytes.first(std::min(bytes.size(), kFirstBytes));
  Control control{};
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof(uint32_t));
  cmsghdr* wish = CMSG_FIRSTHDR(&message);
  wish->cmsg_level = SOL_SOCKET;
  wish->cmsg_type = SO_TIMESTAMPING;
  wish->cmsg_len = CMSG_LEN(sizeof(uint32_t));
  const uint32_t stamp = SOF_TIMESTAMPING_TX_SCHED;
  std::memcpy(CMSG_DATA(wish), &stamp, sizeof(stamp));
  return sendmsg(fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

int64_t KernelStamps::TakeDeparture(int fd) {
  int64_t departure = 0;
  while (true) {
    Control control;
    msghdr message{};
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return departure;
    int64_t stamp = 0;
    std::optional<uint32_t> place;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
        stamp = SoftwareStamp(c);
      } else {  // IP_RECVERR, IPV6_RECVERR
        sock_extended_err error;
        std::memcpy(&error, CMSG_DATA(c), sizeof(error));
        if (error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && error.ee_info == SCM_TSTAMP_SCHED) place = error.ee_data;
      }
    }
    // A message that is repeated has the same place again; one that was lost before has an earlier one.
    if (stamp == 0 || !place || (newest_ && static_cast<int32_t>(*place - *newest_) <= 0)) continue;
    newest_ = place;
    departure = stamp;
  }
}

}  // namespace netsense::tcp
