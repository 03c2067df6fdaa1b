#include "base/socket.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/resolve.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

std::string NumericHost(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST] = "";
  getnameinfo(address, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  std::string text = host;
  if (text.rfind("::ffff:", 0) == 0 && text.find('.') != std::string::npos) text = text.substr(7);
  return text;
}

void SetInt(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof(value)); }

absl::Status BindSource(int fd, const std::string& source_address) {
  ASSIGN_OR_RETURN(auto source, NumericAddress(source_address, 0));
  if (bind(fd, source->ai_addr, source->ai_addrlen) != 0)
    return absl::InternalError(absl::StrCat("cannot use the source address ", source_address, ": ", strerror(errno)));
  return absl::OkStatus();
}

}  // namespace

void TuneSessionSocket(int fd) {
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  const int limit_s =
      static_cast<int>(std::chrono::seconds(std::chrono::ceil<std::chrono::seconds>(deadlines::kPeerDead())).count());
  SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, limit_s / 2);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, limit_s / 6);
  SetInt(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

absl::Status SetTrafficClass(int fd, uint32_t traffic_class) {
  if (traffic_class == 0) return absl::OkStatus();
  const int value = static_cast<int>(traffic_class);
  // A socket of either family; one of IPv6 that carries IPv4 needs both.
  const bool v4 = setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof(value)) == 0;
  const bool v6 = setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value)) == 0;
  return v4 || v6 ? absl::OkStatus() : SocketError(errno, "setting the traffic class");
}

void ResetOnClose(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

uint32_t Retransmits(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_total_retrans : 0;
}

absl::Status SocketError(int error, const std::string& what) {
  std::string text = absl::StrCat(what, ": ", strerror(error));
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
    case EBADF:
      return absl::InternalError(text);
    case EAGAIN:
    case ETIMEDOUT:
      return absl::DeadlineExceededError(what + ": no answer within the deadline");
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status WaitReady(int fd, short events, MonotonicTime deadline, const std::stop_token& stop) {
  while (true) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicNow()).count();
    if (left <= 0) return absl::DeadlineExceededError("no answer within the deadline");
    pollfd wait{fd, events, 0};
    int rc = poll(&wait, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (rc < 0 && errno != EINTR) return absl::InternalError(absl::StrCat("poll: ", strerror(errno)));
    if (rc > 0) return stop.stop_requested() ? absl::CancelledError("stopped") : absl::OkStatus();
  }
}

absl::Status BindToDevice(int fd, const std::string& netdev) {
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, netdev.data(), static_cast<socklen_t>(netdev.size())) == 0)
    return absl::OkStatus();
  return absl::InternalError(absl::StrCat("a socket cannot be tied to ", netdev, ": ", strerror(errno)));
}

absl::StatusOr<UniqueFd> ConnectTcp(const std::string& host, uint16_t port, const LocalEnd& from,
                                    MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto resolved, ResolveHost(host, port, deadline, stop));
  absl::Status last = absl::UnavailableError(absl::StrCat("no address for ", host));
  for (const addrinfo* info = resolved.get(); info != nullptr; info = info->ai_next) {
    UniqueFd fd(socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd) return SocketError(errno, "socket");
    std::string what = absl::StrCat("connect to ", FormatHostPort(NumericHost(info->ai_addr, info->ai_addrlen), port));
    if (!from.netdev.empty())
      if (last = BindToDevice(fd.get(), from.netdev); !last.ok()) return last;
    if (!from.address.empty()) {
      SetInt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      if (last = BindSource(fd.get(), from.address); !last.ok()) return last;
    }
    TuneSessionSocket(fd.get());
    ShutdownOnStop guard(stop, fd.get());
    if (connect(fd.get(), info->ai_addr, info->ai_addrlen) != 0 && errno != EINPROGRESS) {
      last = SocketError(errno, what);
      continue;
    }
    last = WaitReady(fd.get(), POLLOUT, deadline, stop);
    if (!last.ok()) return absl::Status(last.code(), absl::StrCat(what, ": ", std::string(last.message())));
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return fd;
    last = SocketError(error, what);
  }
  return last;
}

absl::StatusOr<UniqueFd> ListenTcp(const LocalEnd& at, uint16_t port) {
  auto resolved = NumericAddress(at.address, port);
  if (!resolved.ok()) resolved = ResolveHost(at.address, port, MonotonicNow() + deadlines::kNameLookup(), {});
  if (!resolved.ok()) return resolved.status();
  const addrinfo* info = resolved->get();
  UniqueFd fd(socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return SocketError(errno, "socket");
  SetInt(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!at.netdev.empty()) RETURN_IF_ERROR(BindToDevice(fd.get(), at.netdev));
  if (bind(fd.get(), info->ai_addr, info->ai_addrlen) != 0 || listen(fd.get(), 1024) != 0) {
    const std::string text = absl::StrCat("cannot listen on ", FormatHostPort(at.address, port), ": ", strerror(errno));
    if (errno != EADDRINUSE) return absl::UnavailableError(text);
    return absl::AlreadyExistsError(absl::StrCat(text, ": stop who has that port, or choose another"));
  }
  return fd;
}

uint16_t LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port)
                                       : ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

std::string LocalAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return NumericHost(reinterpret_cast<sockaddr*>(&address), size);
}

bool PeerClosed(int fd) {
  char byte;
  const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

std::string NetdevOfAddress(const std::string& address) {
  if (IsLoopback(address)) return "lo";
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) return "";
  std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(raw, &freeifaddrs);
  for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    char host[NI_MAXHOST] = "";
    if (getnameinfo(entry->ifa_addr, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) == 0 && address == host)
      return entry->ifa_name;
  }
  return "";
}

std::string PeerNetwork(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  if (address.ss_family == AF_INET6) {
    in6_addr& v6 = reinterpret_cast<sockaddr_in6&>(address).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&v6)) std::memset(v6.s6_addr + 8, 0, 8);
  }
  return NumericHost(reinterpret_cast<sockaddr*>(&address), size);
}

std::string PeerAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return NumericHost(reinterpret_cast<sockaddr*>(&address), size);
}

absl::Status ReadExactly(int fd, std::span<uint8_t> into, MonotonicTime deadline, std::stop_token stop) {
  ShutdownOnStop guard(stop, fd);
  while (!into.empty()) {
    ssize_t n = recv(fd, into.data(), into.size(), MSG_DONTWAIT);
    if (n > 0) {
      into = into.subspan(static_cast<size_t>(n));
    } else if (n == 0) {
      return stop.stop_requested() ? absl::CancelledError("stopped")
                                   : absl::UnavailableError("the peer closed the connection");
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitReady(fd, POLLIN, deadline, stop));
    } else if (errno != EINTR) {
      return SocketError(errno, "receive");
    }
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::span<const uint8_t> from, MonotonicTime deadline, std::stop_token stop) {
  ShutdownOnStop guard(stop, fd);
  while (!from.empty()) {
    ssize_t n = send(fd, from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      from = from.subspan(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitReady(fd, POLLOUT, deadline, stop));
    } else if (stop.stop_requested()) {
      return absl::CancelledError("stopped");
    } else if (errno != EINTR) {
      return SocketError(errno, "send");
    }
  }
  return absl::OkStatus();
}

void ShutdownOnStop::Shutdown::operator()() const { shutdown(fd, SHUT_RDWR); }

ShutdownOnStop::ShutdownOnStop(const std::stop_token& stop, int fd) : callback_(stop, Shutdown{fd}) {}

}  // namespace netsense
