#include "engine/bandwidth_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace netsense {
namespace {

constexpr uint32_t kLongestRest = 7;  // rounds
// A stream is made so much longer than it takes to time it: the next one may be faster.
constexpr int kMargin = 2;

// What says nothing of the network: a fault of our own, or a stop.
bool IsOurs(const absl::Status& status) {
  return absl::IsInternal(status) || absl::IsInvalidArgument(status) || absl::IsUnimplemented(status) ||
         absl::IsCancelled(status) || absl::IsUnknown(status);
}

std::string WhyUntimed(const StreamSample& sample) {
  const double microseconds = static_cast<double>(sample.elapsed.count()) / 1e3;
  if (sample.buffered)
    return absl::StrFormat("%d bytes came out of buffers, faster than a port carries: too short a stream",
                           sample.bytes);
  return absl::StrFormat("%d bytes in %.0f us and %d receipts: too short a stream to be timed", sample.bytes,
                         microseconds, sample.receipts);
}

}  // namespace

void BandwidthRecord::Configure(uint32_t window, double alpha, const v1::PlannedPath& path) {
  window_.Configure(window, alpha);
  round_ = std::chrono::milliseconds(int64_t{path.bandwidth_slots()} * path.bandwidth_slot_ms());
  if (round_.count() == 0) Clear();
}

void BandwidthRecord::Measured(const StreamSample& sample, MonotonicTime now) {
  failures_ = 0;
  failure_.clear();
  if (auto bps = sample.bps()) {
    window_.Add(*bps, now);
    recent_.push_back(*bps);
    if (recent_.size() > kRecent) recent_.erase(recent_.begin());
    reason_.clear();
    return;
  }
  reason_ = WhyUntimed(sample);
  using Seconds = std::chrono::duration<double>;
  const double longer = sample.elapsed.count() > 0 ? Seconds(kShortestTimed) / Seconds(sample.elapsed) : 4;
  // A busy host takes much at a time.
  const double oftener =
      sample.receipts > 0 ? static_cast<double>(kFewestReceipts) / static_cast<double>(sample.receipts) : 4;
  const double times = std::max(longer, oftener);
  wanted_ = static_cast<uint64_t>(static_cast<double>(std::max(tried_, sample.bytes)) * kMargin *
                                  std::clamp(times, 1.0, 16.0));
}

void BandwidthRecord::Failed(const absl::Status& status, const std::string& black_hole, MonotonicTime now) {
  reason_ = black_hole.empty() ? std::string(status.message()) : black_hole;
  if (IsOurs(status)) return;
  ++failures_;
  failure_ = reason_;
  failed_at_ = now;
  if (failures_ >= kFailuresUntilFailed) ClearFigures();
}

void BandwidthRecord::ClearFigures() {
  window_.Clear();
  recent_.clear();
}

void BandwidthRecord::NotTried(const absl::Status& status) {
  reason_ = std::string(status.message());
  if (absl::IsResourceExhausted(status)) wanted_ = tried_ / kMargin;  // less may be within the budget
}

void BandwidthRecord::Clear() {
  ClearFigures();
  failures_ = 0;
  failure_.clear();
  reason_.clear();
}

std::string BandwidthRecord::failure(MonotonicTime now) const {
  if (failures_ < kFailuresUntilFailed || now - failed_at_ > rest() + life()) return "";
  return absl::StrCat("the last ", failures_, " bandwidth probes failed: ", failure_);
}

uint32_t BandwidthRecord::rounds_to_rest() const {
  if (failures_ < kFailuresUntilFailed) return 0;
  return std::min((1u << std::min(failures_ - kFailuresUntilFailed + 1, 8u)) - 1, kLongestRest);
}

std::chrono::milliseconds BandwidthRecord::rest() const {
  return std::min<std::chrono::milliseconds>(rounds_to_rest() * round_, kLongestPause);
}

uint64_t BandwidthRecord::NextBytes(uint64_t planned, uint64_t most) const {
  return std::clamp(wanted_, std::min(planned, most), std::max(planned, most));
}

void BandwidthRecord::Summarize(MonotonicTime now, v1::PathResult* result) const {
  result->set_bandwidth_life_ms(life().count());
  result->set_bandwidth_reason(reason_);
  const std::string failed = failure(now);
  v1::Window figure = window_.Summarize(now);
  if (round_.count() == 0) {
    result->set_bandwidth_reason("no bandwidth probes on this path");
  } else if (!failed.empty()) {
    result->set_bandwidth_state(v1::BANDWIDTH_STATE_FAILED);
    result->set_bandwidth_reason(failed);
  } else if (figure.samples() == 0) {
    if (reason_.empty()) result->set_bandwidth_reason("not measured yet");
  } else if (figure.age_ms() > life().count()) {
    result->set_bandwidth_reason(absl::StrCat("the last figure is ", figure.age_ms() / 1000, " s old",
                                              reason_.empty() ? "" : "; since then: ", reason_));
  } else {
    result->set_bandwidth_state(v1::BANDWIDTH_STATE_MEASURED);
    figure.set_best(*std::max_element(recent_.begin(), recent_.end()));
    *result->mutable_bandwidth() = figure;
  }
}

}  // namespace netsense
