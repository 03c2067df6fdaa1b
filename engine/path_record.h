// What is known of one path: its state with the reason, and its statistics. Pure bookkeeping: time comes in as an
// argument.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "engine/bandwidth_record.h"
#include "engine/histogram.h"
#include "engine/path_totals.h"
#include "engine/sample_window.h"
#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"
#include "transports/transport.h"

namespace netsense {

class PathRecord {
 public:
  explicit PathRecord(MonotonicTime now) : state_since_(now) {}

  void Configure(const v1::Plan& plan, const v1::PlannedPath& path);

  void PingAnswered(const RttSample& sample, MonotonicTime now);
  // A ping, or the connect before it, that gave no sample. How a status becomes a state stands in the .cc.
  void PingFailed(const absl::Status& status, MonotonicTime now);
  // A ping that was due and not sent: its path may not be dialled (NamedAddresses).
  void NotDialled(const absl::Status& why, MonotonicTime now);
  void StreamMeasured(const StreamSample& sample, MonotonicTime now);
  // Over the stream that was just measured. A fatal counter makes the path DEGRADED until one passes without, or for
  // ten minutes.
  void SetCounters(std::vector<v1::CounterDelta> counters, MonotonicTime now);
  void SetExpected(const v1::ExpectedBandwidth& expected) { expected_ = expected; }
  void SetBinding(const v1::Binding& binding) { binding_ = binding; }
  // `black_hole` as BandwidthRecord::Failed.
  void StreamFailed(const absl::Status& status, const std::string& black_hole, MonotonicTime now);
  // Aborted: the port was taken; ResourceExhausted: a budget is used up.
  void StreamNotTried(const absl::Status& status);
  BandwidthRecord& bandwidth() { return bandwidth_; }
  void SetPeer(const v1::SessionReply::Grant& peer);
  void SetSourcePort(const std::string& name, v1::FabricKind fabric);
  // Two rails need not reach each other: until an answer has come once, having none is ISOLATED and not UNREACHABLE.
  void SetCrossRail(bool cross_rail) { cross_rail_ = cross_rail; }

  // Whatever this path counts from now on is counted there too. `kind` outlives the record.
  void AddTo(PathTotals* kind) { kind_totals_ = kind; }

  v1::FabricKind fabric() const { return fabric_; }
  bool healthy() const { return state_ == v1::PATH_STATE_OK || state_ == v1::PATH_STATE_DEGRADED; }
  // How many of the newest pings in a row were lost.
  uint32_t losses_in_a_row() const { return losses_in_a_row_; }

  // STALE when nothing was heard for longer than `ttl`.
  v1::PathResult Summarize(const std::string& path_id, std::chrono::milliseconds ttl, MonotonicTime now) const;

 private:
  void SetState(v1::PathState state, std::string reason, MonotonicTime now);
  // Of a path that answers: OK, or what speaks against it.
  void JudgeAnswering(MonotonicTime now);
  // The windows start anew when the path is back, so that old and new samples never mix.
  void ClearUnlessHealthy();
  void RememberOutcome(bool lost);
  void Count(uint64_t PathTotals::*counter);
  void CountRoundTrip(const RttSample& sample);

  uint32_t window_size_ = 5;
  v1::PathState state_ = v1::PATH_STATE_UNKNOWN;
  std::string reason_ = "not measured yet";
  MonotonicTime state_since_;
  MonotonicTime last_heard_{};  // of any outcome
  MonotonicTime last_ok_{};
  bool ever_heard_ = false;
  bool ever_ok_ = false;
  bool cross_rail_ = false;

  std::deque<bool> lost_;  // of the last M pings since the path was last unreachable
  uint32_t losses_in_a_row_ = 0;
  uint64_t retransmitted_ =
      0;  // a bit for each of the last 64 answers, the newest the lowest: TCP sent something again
  bool retransmits_known_ = false;
  SampleWindow rtt_, network_rtt_;
  BandwidthRecord bandwidth_;
  RollingHistogram rtt_histogram_, network_rtt_histogram_, hold_histogram_;
  v1::TimestampSource source_ = v1::TIMESTAMP_SOURCE_UNSPECIFIED;
  PathTotals totals_;
  PathTotals* kind_totals_ = nullptr;
  std::string source_port_;
  v1::FabricKind fabric_ = v1::FABRIC_KIND_UNKNOWN;
  std::string peer_version_;
  std::string peer_port_;
  v1::Binding binding_, peer_binding_;
  std::vector<v1::CounterDelta> counters_;
  std::string fatal_counter_;  // in words; empty = none
  MonotonicTime fatal_counter_at_{};
  v1::ExpectedBandwidth expected_;
};

}  // namespace netsense
