#include "transports/stream_meter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/broken_protocol.h"

namespace netsense {
namespace {

std::chrono::nanoseconds Nanoseconds(uint64_t count) {
  return std::chrono::nanoseconds(static_cast<int64_t>(std::min<uint64_t>(count, std::numeric_limits<int64_t>::max())));
}

}  // namespace

StreamMeter::StreamMeter(std::chrono::nanoseconds window, uint64_t payload, std::atomic<uint64_t>* moved)
    : window_(std::max(window, std::chrono::nanoseconds(1'000'000))),
      moved_(moved),
      least_(payload == 0 ? 1 : std::clamp<uint64_t>(payload / 100, 1, 64 << 10)),
      look_at_(MonotonicNow() + deadlines::kStreamStall()) {}

absl::Status StreamMeter::Look(MonotonicTime now) {
  if (now < look_at_) return absl::OkStatus();
  const uint64_t came = sample_.bytes - seen_;
  if (came < least_)
    return absl::DeadlineExceededError(absl::StrCat("the stream stalls: ", came, " bytes in ",
                                                    deadlines::kStreamStall().count(), " ms, after ", seen_));
  seen_ = sample_.bytes;
  look_at_ = now + deadlines::kStreamStall();
  return absl::OkStatus();
}

void StreamMeter::Add(uint64_t bytes, MonotonicTime now) {
  if (moved_ != nullptr) moved_->fetch_add(bytes, std::memory_order_relaxed);
  now = std::max(now, last_);  // receipts of several messages may be noted in another order
  // What is found at the same instant as the first is part of the first receipt.
  const bool first = sample_.bytes == 0 || now == first_;
  if (sample_.receipts == 0 || now != last_) ++sample_.receipts;
  sample_.bytes += bytes;
  if (first) {
    first_ = window_start_ = last_ = now;
    return;
  }
  sample_.bytes_in_elapsed += bytes;
  window_bytes_ += bytes;
  last_ = now;
  if (now - window_start_ >= window_) {
    double bps = static_cast<double>(window_bytes_) * 8 / std::chrono::duration<double>(now - window_start_).count();
    sample_.min_window_bps = windows_ == 0 ? bps : std::min(sample_.min_window_bps, bps);
    sample_.max_window_bps = std::max(sample_.max_window_bps, bps);
    ++windows_;
    window_start_ = now;
    window_bytes_ = 0;
  }
}

StreamSample StreamMeter::Finish() const {
  StreamSample sample = sample_;
  sample.elapsed = last_ - first_;
  if (windows_ == 0) sample.min_window_bps = sample.max_window_bps = sample.bps().value_or(0);
  return sample;
}

v1::StreamOrder OrderOf(const StreamSpec& spec) {
  v1::StreamOrder order;
  order.set_direction(spec.direction == Direction::kToPeer ? v1::STREAM_DIRECTION_TO_PEER
                                                           : v1::STREAM_DIRECTION_FROM_PEER);
  order.set_bytes(spec.bytes);
  order.set_duration_ns(static_cast<uint64_t>(spec.duration.count()));
  order.set_window_ns(static_cast<uint64_t>(spec.window.count()));
  order.set_message_bytes(spec.message_bytes);
  return order;
}

absl::StatusOr<StreamSpec> SpecOf(const v1::StreamOrder& order) {
  StreamSpec spec;
  if (order.direction() != v1::STREAM_DIRECTION_TO_PEER && order.direction() != v1::STREAM_DIRECTION_FROM_PEER)
    return absl::InvalidArgumentError("a stream order without a direction");
  spec.direction = order.direction() == v1::STREAM_DIRECTION_TO_PEER ? Direction::kToPeer : Direction::kFromPeer;
  spec.bytes = order.bytes();
  spec.duration = std::min(Nanoseconds(order.duration_ns()), std::chrono::nanoseconds(std::chrono::hours(48)));
  spec.window = Nanoseconds(order.window_ns());
  spec.message_bytes = order.message_bytes();
  if (spec.bytes == 0 && spec.duration.count() == 0) return absl::InvalidArgumentError("a stream without a bound");
  return spec;
}

v1::StreamReport ReportOf(const StreamSample& sample) {
  v1::StreamReport report;
  report.set_bytes(sample.bytes);
  report.set_elapsed_ns(static_cast<uint64_t>(sample.elapsed.count()));
  report.set_bytes_in_elapsed(sample.bytes_in_elapsed);
  report.set_min_window_bps(sample.min_window_bps);
  report.set_max_window_bps(sample.max_window_bps);
  report.set_receipts(sample.receipts);
  report.set_buffered(sample.buffered);
  return report;
}

absl::StatusOr<StreamSample> SampleOf(const v1::StreamReport& report) {
  if (report.bytes_in_elapsed() > report.bytes() || !std::isfinite(report.min_window_bps()) ||
      !std::isfinite(report.max_window_bps()) || report.min_window_bps() < 0)
    return absl::DataLossError("the receiver's count of the stream contradicts itself");
  StreamSample sample;
  sample.bytes = report.bytes();
  sample.elapsed = Nanoseconds(report.elapsed_ns());
  sample.bytes_in_elapsed = report.bytes_in_elapsed();
  sample.min_window_bps = report.min_window_bps();
  sample.max_window_bps = report.max_window_bps();
  sample.receipts = report.receipts();
  sample.buffered = report.buffered();
  return sample;
}

absl::StatusOr<StreamSample> ReadReport(const FrameHeader& header, std::span<const uint8_t> payload,
                                        const std::optional<StreamSample::Sent>& sent) {
  v1::StreamReport report;
  if (header.kind != FrameKind::kStreamReport || !ParsePayload(payload, &report))
    return BrokenProtocol("something else than its count of the stream");
  auto sample = SampleOf(report);
  if (sample.ok()) sample->sent = sent;
  return sample;
}

absl::Status CheckStreamSpec(const StreamSpec& spec, uint64_t max_stream_bytes, uint32_t max_message_bytes) {
  if (max_stream_bytes == 0) return absl::InvalidArgumentError("this session was not opened for streams");
  if (spec.bytes == 0 && spec.duration.count() <= 0)
    return absl::InvalidArgumentError("a stream needs a bound: bytes or duration");
  if (spec.bytes > max_stream_bytes)
    return absl::InvalidArgumentError(absl::StrCat("this session was opened for at most ", max_stream_bytes, " bytes"));
  if (spec.message_bytes > max_message_bytes)
    return absl::InvalidArgumentError(absl::StrCat("messages carry at most ", max_message_bytes, " bytes here"));
  return absl::OkStatus();
}

SendBounds SendBoundsOf(const StreamSpec& spec, uint64_t max_stream_bytes, MonotonicTime deadline) {
  return {spec.bytes == 0 ? max_stream_bytes : std::min(spec.bytes, max_stream_bytes),
          spec.duration.count() == 0 ? deadline : std::min(deadline, MonotonicNow() + spec.duration), spec.finish,
          spec.bytes == 0 && spec.message_bytes == 0 ? 4 * kFewestReceipts : 0};
}

uint32_t MessageBytesOf(const StreamSpec& spec, uint32_t usual) {
  constexpr uint64_t kReceipts = 2 * kFewestReceipts, kSmallest = 4096;
  if (spec.message_bytes != 0) return spec.message_bytes;
  if (spec.bytes == 0) return usual;
  return static_cast<uint32_t>(std::clamp<uint64_t>(spec.bytes / kReceipts, kSmallest, usual));
}

}  // namespace netsense
