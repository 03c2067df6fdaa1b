// What is known of one path's bandwidth: a state of its own beside the path's, with the reason in words, and how long
// the next probe's stream must be. Pure bookkeeping: time comes in as an argument.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "engine/sample_window.h"
#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"
#include "transports/transport.h"

namespace netsense {

class BandwidthRecord {
 public:
  // The plan's window, and the path's round: how often it has a slot. A path without slots has no figure, from now on.
  void Configure(uint32_t window, double alpha, const v1::PlannedPath& path);

  void Measured(const StreamSample& sample, MonotonicTime now);
  // Whether it is the network's, the peer's or our own failure stands in the code (transport.h). `black_hole`: what was
  // found about it, in words; empty = nothing.
  void Failed(const absl::Status& status, const std::string& black_hole, MonotonicTime now);
  // Not tried: the port is taken (here or there), or a budget is used up.
  void NotTried(const absl::Status& status);
  // The path is gone: old and new figures never mix.
  void Clear();

  // So many probes in a row failed, and with it the path is DEGRADED.
  static constexpr uint32_t kFailuresUntilFailed = 3;
  // A figure, and a failure, counts for so many rounds.
  static constexpr int kRounds = 3;

  // The best of so many samples stands beside the window's median: a path that was fast just now is not slow for good.
  static constexpr size_t kRecent = 20;

  // In words, when so many of the newest probes failed, and the next is not overdue for longer than a figure lives;
  // empty: it has not failed.
  std::string failure(MonotonicTime now) const;
  // Rounds that the path rests after a failure, so that those beside it have its ports.
  uint32_t rounds_to_rest() const;
  // The same as a time, and at most kLongestPause: a round of a large cluster may last for hours.
  std::chrono::milliseconds rest() const;
  static constexpr std::chrono::minutes kLongestPause{15};

  // Bytes of the next stream, from the plan's to `most`: as many as it takes to time it.
  uint64_t NextBytes(uint64_t planned, uint64_t most) const;
  // The last stream was too short to be timed, and a longer one may be tried.
  bool too_short(uint64_t most) const { return wanted_ > tried_ && tried_ < most; }
  void Tried(uint64_t bytes) { tried_ = bytes; }

  // Fills in bandwidth, bandwidth_state, bandwidth_reason and bandwidth_life_ms.
  void Summarize(MonotonicTime now, v1::PathResult* result) const;

  // What was measured counts no longer, since nobody answers. How often it failed before does.
  void ClearFigures();

 private:
  std::chrono::milliseconds life() const { return kRounds * round_; }

  SampleWindow window_;
  std::vector<double> recent_;         // the last kRecent samples; no room on a path without figures
  std::chrono::milliseconds round_{};  // 0 = no probes
  std::string reason_;                 // why the last probe gave no figure; empty when it did
  std::string failure_;                // of the last one that failed, while none has passed since
  uint32_t failures_ = 0;              // in a row
  MonotonicTime failed_at_{};
  uint64_t wanted_ = 0, tried_ = 0;  // bytes of the next stream (0 = the plan's), and of the last one
};

}  // namespace netsense
