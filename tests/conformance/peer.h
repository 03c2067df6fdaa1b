// The other side: a process of its own with a real responder in it, which can be frozen and killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/deadlines.h"

namespace netsense::conformance {

inline constexpr char kToken[] = "conformance";

struct PeerOptions {
  std::chrono::nanoseconds hold_pings{};  // as in ServeLimits
  std::string fault = {};                 // for backends that can be told to misbehave
  std::chrono::nanoseconds stream_session_idle = deadlines::kStreamSessionIdle();
};

// Dies with the thread that started it. Throws std::runtime_error when it does not come up.
class Peer {
 public:
  explicit Peer(const PeerOptions& options = {});
  ~Peer();  // kills it
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }

  // These may be called from any thread.
  void Freeze() const;  // returns when it has stopped
  void Thaw() const;
  void Kill() const;

  // Asks it to end, as a service manager would. Its exit code; nothing when it does not end.
  std::optional<int> End();

 private:
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

// The addresses that both sides use: NETSENSE_CONFORMANCE_PROBER and NETSENSE_CONFORMANCE_RESPONDER, else loopback.
std::string ProberAddress();
std::string ResponderAddress();

// The peer's own main, when the program was started with kPeerArgument.
inline constexpr char kPeerArgument[] = "--peer";
int PeerMain(int argc, char** argv);

}  // namespace netsense::conformance
