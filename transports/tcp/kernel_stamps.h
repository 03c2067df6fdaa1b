// Times at which the kernel put a message into the network device's queue and got one from the device (SO_TIMESTAMPING,
// software): what a sleeping program adds is not in them, what waits in our own queue is.
// Documentation/networking/timestamping.rst.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>

namespace netsense::tcp {

// Of one TCP socket. All times are nanoseconds of CLOCK_REALTIME, 0 = none: only differences mean anything, and a clock
// that was set in between makes nonsense of one, so whoever takes one checks it against the monotonic clock.
class KernelStamps {
 public:
  // True when the kernel will stamp. Before anything else is sent: departures are told apart by their place in the
  // stream.
  bool Enable(int fd);
  bool enabled() const { return enabled_; }

  // As recv, and as send with MSG_NOSIGNAL; one system call. `arrival`: of the last packet that was taken. Of a long
  // message only the beginning is sent, and the rest must follow at once.
  static ssize_t Receive(int fd, std::span<uint8_t> into, int flags, int64_t* arrival);
  static ssize_t SendStamped(int fd, std::span<const uint8_t> bytes);

  // When the first packet of the last message of SendStamped left, the first time if it was repeated. The answer to it
  // must have come: then the stamp is there too.
  int64_t TakeDeparture(int fd);

 private:
  bool enabled_ = false;
  std::optional<uint32_t> newest_;  // place in the stream, as the kernel counts
};

int64_t RealtimeNow();

}  // namespace netsense::tcp
