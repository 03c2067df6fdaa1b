#include "engine/path_record.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

// So many lost pings in a row, and the path counts as unreachable and no longer as lossy.
constexpr uint32_t kLossesUntilUnreachable = 3;
// A fatal counter degrades a path until a probe passes without one, or for so long when none is made.
constexpr std::chrono::minutes kFatalCounterCounts{10};
// So many of the last 64 answers needed TCP to send something again, and the path loses packets: of 5 % lost, on either
// way, one hardly sees fewer; of one in a thousand hardly ever so many.
constexpr int kRetransmittedUntilLossy = 4;

v1::PathState StateOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnimplemented:
      return v1::PATH_STATE_REFUSED;
    case absl::StatusCode::kFailedPrecondition:
      return v1::PATH_STATE_VERSION_MISMATCH;
    case absl::StatusCode::kDataLoss:
      return v1::PATH_STATE_DEGRADED;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kNotFound:
      return v1::PATH_STATE_UNREACHABLE;
    default:  // a fault of our own: it says nothing of the peer
      return v1::PATH_STATE_UNKNOWN;
  }
}

double InNs(std::chrono::nanoseconds value) { return static_cast<double>(value.count()); }

}  // namespace

void PathRecord::Configure(const v1::Plan& plan, const v1::PlannedPath& path) {
  window_size_ = plan.rtt_window();
  rtt_.Configure(plan.rtt_window(), plan.rtt_alpha());
  network_rtt_.Configure(plan.rtt_window(), plan.rtt_alpha());
  bandwidth_.Configure(plan.bandwidth_window(), plan.bandwidth_alpha(), path);
}

void PathRecord::SetSourcePort(const std::string& name, v1::FabricKind fabric) {
  source_port_ = name;
  fabric_ = fabric;
}

void PathRecord::SetPeer(const v1::SessionReply::Grant& peer) {
  peer_version_ = peer.software_version();
  peer_port_ = peer.port();
  peer_binding_ = peer.binding();
}

void PathRecord::SetState(v1::PathState state, std::string reason, MonotonicTime now) {
  if (state != state_) state_since_ = now;
  state_ = state;
  reason_ = std::move(reason);
}

void PathRecord::RememberOutcome(bool lost) {
  losses_in_a_row_ = lost ? losses_in_a_row_ + 1 : 0;
  lost_.push_back(lost);
  while (lost_.size() > window_size_) lost_.pop_front();
}

void PathRecord::Count(uint64_t PathTotals::*counter) {
  ++(totals_.*counter);
  if (kind_totals_ != nullptr) ++(kind_totals_->*counter);
}

void PathRecord::CountRoundTrip(const RttSample& sample) {
  for (PathTotals* totals : {&totals_, kind_totals_}) {
    if (totals == nullptr) continue;
    totals->rtt.Add(sample.rtt);
    totals->network_rtt.Add(sample.network_rtt());
  }
}

void PathRecord::PingAnswered(const RttSample& sample, MonotonicTime now) {
  if (!healthy()) lost_.clear();  // back again: what was lost while it was away is known already
  Count(&PathTotals::pings_sent);
  RememberOutcome(false);
  last_heard_ = last_ok_ = now;
  ever_heard_ = ever_ok_ = true;
  source_ = sample.source;
  rtt_.Add(InNs(sample.rtt), now);
  network_rtt_.Add(InNs(sample.network_rtt()), now);
  CountRoundTrip(sample);
  rtt_histogram_.Add(sample.rtt, now);
  network_rtt_histogram_.Add(sample.network_rtt(), now);
  if (sample.responder_hold) hold_histogram_.Add(*sample.responder_hold, now);
  if (sample.retransmits) {
    retransmits_known_ = true;
    retransmitted_ = retransmitted_ << 1 | (*sample.retransmits > 0 ? 1 : 0);
    for (PathTotals* totals : {&totals_, kind_totals_})
      if (totals != nullptr) totals->retransmits += *sample.retransmits;
  }
  JudgeAnswering(now);
}

void PathRecord::JudgeAnswering(MonotonicTime now) {
  if (now - fatal_counter_at_ > kFatalCounterCounts) fatal_counter_.clear();
  const auto lost = std::count(lost_.begin(), lost_.end(), true);
  const int again = std::popcount(retransmitted_);
  std::string reason;
  if (lost > 0) {
    reason = absl::StrCat(lost, " of the last ", lost_.size(), " pings were lost");
  } else if (std::string failed = bandwidth_.failure(now); !failed.empty()) {
    reason = failed;
  } else if (!fatal_counter_.empty()) {
    reason = fatal_counter_;
  } else if (again >= kRetransmittedUntilLossy) {
    reason = absl::StrCat("packets are lost: for ", again, " of the last 64 pings TCP had to send something again");
  }
  const v1::PathState state = reason.empty() ? v1::PATH_STATE_OK : v1::PATH_STATE_DEGRADED;
  SetState(state, std::move(reason), now);
}

void PathRecord::PingFailed(const absl::Status& status, MonotonicTime now) {
  Count(&PathTotals::pings_sent);
  Count(&PathTotals::pings_lost);
  last_heard_ = now;
  ever_heard_ = true;
  bool was_healthy = healthy();
  RememberOutcome(true);
  v1::PathState state = StateOf(status);
  // A lost answer on a path that worked may be one lost packet.
  if (absl::IsDeadlineExceeded(status) && was_healthy && losses_in_a_row_ < kLossesUntilUnreachable)
    state = v1::PATH_STATE_DEGRADED;
  std::string reason(status.message());
  if (state == v1::PATH_STATE_UNREACHABLE && cross_rail_ && !ever_ok_ && !absl::IsNotFound(status)) {
    state = v1::PATH_STATE_ISOLATED;
    reason = absl::StrCat("no route between these rails was ever seen: ", reason);
  }
  SetState(state, std::move(reason), now);
  ClearUnlessHealthy();
}

void PathRecord::NotDialled(const absl::Status& why, MonotonicTime now) {
  last_heard_ = now;
  ever_heard_ = true;
  SetState(StateOf(why), std::string(why.message()), now);
  ClearUnlessHealthy();
}

void PathRecord::ClearUnlessHealthy() {
  if (healthy()) return;
  retransmitted_ = 0;
  rtt_.Clear();
  network_rtt_.Clear();
  bandwidth_.ClearFigures();
}

void PathRecord::SetCounters(std::vector<v1::CounterDelta> counters, MonotonicTime now) {
  counters_ = std::move(counters);
  fatal_counter_.clear();
  for (const v1::CounterDelta& counter : counters_)
    if (counter.severity() == v1::CounterDelta::SEVERITY_FATAL && fatal_counter_.empty())
      fatal_counter_ = absl::StrCat(counter.name(), " rose by ", counter.delta(), " during the last bandwidth probe");
  fatal_counter_at_ = now;
  if (!fatal_counter_.empty() && healthy()) JudgeAnswering(now);
}

void PathRecord::StreamMeasured(const StreamSample& sample, MonotonicTime now) {
  Count(&PathTotals::bandwidth_probes);
  bandwidth_.Measured(sample, now);
  if (healthy()) JudgeAnswering(now);
}

void PathRecord::StreamFailed(const absl::Status& status, const std::string& black_hole, MonotonicTime now) {
  Count(&PathTotals::bandwidth_probes);
  Count(&PathTotals::bandwidth_failed);
  bandwidth_.Failed(status, black_hole, now);
  if (healthy()) JudgeAnswering(now);
}

void PathRecord::StreamNotTried(const absl::Status& status) {
  Count(absl::IsAborted(status) ? &PathTotals::bandwidth_busy : &PathTotals::bandwidth_deferred);
  bandwidth_.NotTried(status);
}

v1::PathResult PathRecord::Summarize(const std::string& path_id, std::chrono::milliseconds ttl,
                                     MonotonicTime now) const {
  v1::PathResult result;
  result.set_path_id(path_id);
  result.set_state(state_);
  result.set_reason(reason_);
  result.set_state_age_ms(MillisSince(state_since_, now));
  if (ever_heard_ && now - last_heard_ > ttl) {
    result.set_state(v1::PATH_STATE_STALE);
    result.set_reason(absl::StrCat("not probed for ", MillisSince(last_heard_, now), " ms"));
    result.set_state_age_ms(MillisSince(last_heard_ + ttl, now));
  }
  result.set_last_ok_age_ms(ever_ok_ ? MillisSince(last_ok_, now) : -1);
  *result.mutable_rtt() = rtt_.Summarize(now);
  *result.mutable_network_rtt() = network_rtt_.Summarize(now);
  *result.mutable_rtt_distribution() = rtt_histogram_.Summarize(now);
  *result.mutable_network_rtt_distribution() = network_rtt_histogram_.Summarize(now);
  *result.mutable_responder_hold_distribution() = hold_histogram_.Summarize(now);
  result.set_timestamp_source(source_);
  result.set_pings_sent(totals_.pings_sent);
  result.set_pings_lost(totals_.pings_lost);
  bandwidth_.Summarize(now, &result);
  result.set_bandwidth_failed(totals_.bandwidth_failed);
  if (retransmits_known_) result.set_retransmits(totals_.retransmits);
  result.set_bandwidth_probes(totals_.bandwidth_probes);
  result.set_bandwidth_busy(totals_.bandwidth_busy);
  result.set_bandwidth_deferred(totals_.bandwidth_deferred);
  result.set_source_port(source_port_);
  result.set_fabric(fabric_);
  result.set_peer_version(peer_version_);
  result.set_peer_port(peer_port_);
  *result.mutable_binding() = binding_;
  *result.mutable_peer_binding() = peer_binding_;
  result.mutable_counters()->Assign(counters_.begin(), counters_.end());
  *result.mutable_expected_bandwidth() = expected_;
  *result.mutable_rtt_histogram() = totals_.rtt.Export();
  *result.mutable_network_rtt_histogram() = totals_.network_rtt.Export();
  return result;
}

}  // namespace netsense
