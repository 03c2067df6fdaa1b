// TCP sockets with deadlines and a stop token: addresses, connect, listen, read and write whole buffers.
// Everything here works on non-blocking sockets and blocks until done, until the deadline (DeadlineExceeded) or until
// the stop token is triggered (Cancelled). Unavailable: refused, reset, closed, no such host. Internal: a shortage of
// our own.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/unique_fd.h"

namespace netsense {

// Our end of a connection; what is empty the kernel chooses.
struct LocalEnd {
  std::string address = {};
  std::string netdev = {};  // nothing goes out, or comes in, by another network device
};
// Connects to host:port (names are resolved, within the deadline: base/resolve.h). TCP_NODELAY, keep-alive.
absl::StatusOr<UniqueFd> ConnectTcp(const std::string& host, uint16_t port, const LocalEnd& from,
                                    MonotonicTime deadline, std::stop_token stop);
// Ties a socket to a network device (SO_BINDTODEVICE), whatever the routes say.
absl::Status BindToDevice(int fd, const std::string& netdev);
// SO_REUSEADDR, backlog 1024. The address is numeric, a name (for which it waits deadlines::kNameLookup), or empty for
// all.
absl::StatusOr<UniqueFd> ListenTcp(const LocalEnd& at, uint16_t port);
// TCP_NODELAY and keep-alive (a dead peer is noticed within deadlines::kPeerDead), as every socket of a session has
// them.
void TuneSessionSocket(int fd);
// Marks what goes out (IP_TOS, IPV6_TCLASS); 0 leaves it as it is.
absl::Status SetTrafficClass(int fd, uint32_t traffic_class);
uint16_t LocalPort(int fd);
std::string LocalAddress(int fd);
std::string PeerAddress(int fd);
// Who the peer is where something is counted by address: its IPv4 address, or the /64 of its IPv6 address, all of which
// one host may have (RFC 4291, 2.5.4).
std::string PeerNetwork(int fd);
// True when the peer has closed its end, or the connection is broken; nothing is taken from it.
bool PeerClosed(int fd);
// The network device that has the local `address`; empty when none has.
std::string NetdevOfAddress(const std::string& address);

// Closing it throws away what is still in its send buffer and resets the connection (SO_LINGER 0): for one that failed,
// so that neither side waits for it.
void ResetOnClose(int fd);
// How many segments this end has sent again so far (TCP_INFO, tcpi_total_retrans); 0 where it is not TCP.
uint32_t Retransmits(int fd);

// Status of an errno from a connected socket: Unavailable, DeadlineExceeded for EAGAIN, Internal for our own shortages.
absl::Status SocketError(int error, const std::string& what);

absl::Status ReadExactly(int fd, std::span<uint8_t> into, MonotonicTime deadline, std::stop_token stop);
absl::Status WriteAll(int fd, std::span<const uint8_t> from, MonotonicTime deadline, std::stop_token stop);

// While alive: a stop request shuts the socket down, which wakes whoever blocks on it. Whoever then sees an error asks
// the stop token first.
class ShutdownOnStop {
 public:
  ShutdownOnStop(const std::stop_token& stop, int fd);

 private:
  struct Shutdown {
    int fd;
    void operator()() const;
  };
  std::stop_callback<Shutdown> callback_;
};

// Waits until `fd` is ready for `events` (POLLIN, POLLOUT). Cancelled, DeadlineExceeded, else Ok.
absl::Status WaitReady(int fd, short events, MonotonicTime deadline, const std::stop_token& stop);

}  // namespace netsense
