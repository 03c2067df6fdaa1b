// Which peers have sessions in a process apart from the others': those in whose sessions one has crashed. They come
// back after a while, and after each further crash it takes twice as long. Who is kept apart, and where; no process is
// known here.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace netsense::isolated {

// Used by one thread at a time.
class Quarantine {
 public:
  // Processes besides the one that all others share. Each holds a library's contexts and memory, so they are few: one a
  // peer as long as there are, then peers that are kept apart share them with each other.
  static constexpr size_t kPlaces = 3;
  static constexpr std::chrono::minutes kFirstStay{10};
  static constexpr std::chrono::hours kLongestStay{24};
  static constexpr size_t kMostPeers = 256;  // that are remembered

  struct Stay {
    size_t place = 0;  // of kPlaces
    std::string reason;
  };

  // A process ended in a session with this peer; how, in words ("was killed by signal 6 (Aborted)").
  void Crashed(const std::string& peer, const std::string& how, MonotonicTime now);

  // Empty: it shares a process with all others.
  std::optional<Stay> Of(const std::string& peer, MonotonicTime now) const;

 private:
  struct Record {
    size_t place = 0;
    uint32_t crashes = 0;
    std::string how;
    MonotonicTime until{};
    MonotonicTime forgotten{};
  };
  size_t FreestPlace(MonotonicTime now) const;

  std::map<std::string, Record> peers_;
};

}  // namespace netsense::isolated
