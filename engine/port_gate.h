// Bandwidth traffic of one node: one measurement per port at a time, probing and responding together, and no more than
// a share of the port's link rate averaged over time (a token bucket). Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace netsense {

class PortGate {
 public:
  struct Options {
    bool unlimited = false;  // a person's own responder: one measurement at a time, but no share
    double share = 0.05;
    uint64_t burst_bytes = 64 << 20;
  };
  explicit PortGate(Options options) : options_(options) {}

  // The right to stream on a port, given back by the destructor.
  class Pass {
   public:
    Pass(Pass&& other) noexcept;
    Pass& operator=(Pass&&) = delete;
    ~Pass();

   private:
    friend class PortGate;
    Pass(PortGate* gate, std::string port) : gate_(gate), port_(std::move(port)) {}
    PortGate* gate_;
    std::string port_;
  };

  // Aborted: the port is taken. ResourceExhausted: the share is used up, with words on when to come back. `speed_bps` 0
  // = unknown. Streams of one `measurement` (not 0) may share the port: they are meant to run side by side, and
  // come within deadlines::kStreamsComeTogether.
  absl::StatusOr<Pass> TryEnter(const std::string& port, uint64_t speed_bps, uint64_t bytes,
                                MonotonicTime now = MonotonicNow(), uint64_t measurement = 0);

 private:
  struct State {
    uint64_t streams = 0;      // that hold the port
    uint64_t measurement = 0;  // theirs
    MonotonicTime entered_at{};
    double tokens = 0;  // bytes
    MonotonicTime filled_at{};
    bool fresh = true;
  };
  void Leave(const std::string& port);

  const Options options_;
  std::mutex mutex_;
  std::map<std::string, State> ports_;
};

}  // namespace netsense
