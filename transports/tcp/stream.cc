#include "transports/tcp/stream.h"

#include <endian.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace netsense::tcp {
namespace {

template <size_t N>
std::array<uint8_t, N * 8> Pack(const std::array<uint64_t, N>& values) {
  std::array<uint8_t, N * 8> bytes;
  for (size_t i = 0; i < N; ++i) {
    uint64_t value = htobe64(values[i]);
    std::memcpy(bytes.data() + i * 8, &value, 8);
  }
  return bytes;
}

template <size_t N>
std::array<uint64_t, N> Unpack(std::span<const uint8_t> bytes) {
  std::array<uint64_t, N> values;
  for (size_t i = 0; i < N; ++i) {
    std::memcpy(&values[i], bytes.data() + i * 8, 8);
    values[i] = be64toh(values[i]);
  }
  return values;
}

std::chrono::nanoseconds Nanoseconds(uint64_t count) {
  return std::chrono::nanoseconds(static_cast<int64_t>(std::min<uint64_t>(count, std::numeric_limits<int64_t>::max())));
}

// Turns receipts into a sample. The first receipt starts the clock, its bytes came before it.
class Meter {
 public:
  explicit Meter(std::chrono::nanoseconds window) : window_(std::max(window, std::chrono::nanoseconds(1'000'000))) {}

  void Add(size_t bytes, MonotonicTime now) {
    sample_.bytes += bytes;
    if (sample_.bytes == bytes) {
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

  StreamSample Finish() {
    sample_.elapsed = last_ - first_;
    if (windows_ == 0) sample_.min_window_bps = sample_.max_window_bps = sample_.bps();
    return sample_;
  }

 private:
  const std::chrono::nanoseconds window_;
  StreamSample sample_;
  MonotonicTime first_{}, last_{}, window_start_{};
  uint64_t window_bytes_ = 0;
  uint64_t windows_ = 0;
};

}  // namespace

StreamRequestBytes EncodeRequest(const StreamSpec& spec) {
  return Pack<3>(
      {spec.bytes, static_cast<uint64_t>(spec.duration.count()), static_cast<uint64_t>(spec.window.count())});
}

absl::StatusOr<StreamSpec> DecodeRequest(std::span<const uint8_t> payload) {
  if (payload.size() != sizeof(StreamRequestBytes))
    return absl::InvalidArgumentError("a stream request of the wrong size");
  auto values = Unpack<3>(payload);
  StreamSpec spec;
  spec.bytes = values[0];
  spec.duration = Nanoseconds(values[1]);
  spec.window = Nanoseconds(values[2]);
  return spec;
}

StreamReportBytes EncodeReport(const StreamSample& sample) {
  return Pack<5>({sample.bytes, static_cast<uint64_t>(sample.elapsed.count()), sample.bytes_in_elapsed,
                  std::bit_cast<uint64_t>(sample.min_window_bps), std::bit_cast<uint64_t>(sample.max_window_bps)});
}

absl::StatusOr<StreamSample> DecodeReport(std::span<const uint8_t> payload) {
  if (payload.size() != sizeof(StreamReportBytes))
    return absl::InvalidArgumentError("a stream report of the wrong size");
  auto values = Unpack<5>(payload);
  StreamSample sample;
  sample.bytes = values[0];
  sample.elapsed = Nanoseconds(values[1]);
  sample.bytes_in_elapsed = values[2];
  sample.min_window_bps = std::bit_cast<double>(values[3]);
  sample.max_window_bps = std::bit_cast<double>(values[4]);
  if (sample.bytes_in_elapsed > sample.bytes)
    return absl::InvalidArgumentError("a stream report that contradicts itself");
  return sample;
}

absl::Status SendStream(Channel& channel, const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                        const std::stop_token& stop) {
  static const std::array<uint8_t, kChunkBytes> kData{};
  uint64_t left = spec.bytes == 0 ? max_bytes : std::min(spec.bytes, max_bytes);
  MonotonicTime end = spec.duration.count() == 0 ? deadline : std::min(deadline, MonotonicNow() + spec.duration);
  FrameHeader header{.kind = FrameKind::kChunk, .nonce = channel.nonce()};
  std::array<uint8_t, kHeaderBytes> encoded;
  while (left > 0 && MonotonicNow() < end) {
    header.payload_bytes = static_cast<uint32_t>(std::min<uint64_t>(left, kChunkBytes));
    EncodeHeader(header, encoded.data());
    channel.SetTimeout(deadline);
    if (auto status = channel.Send(encoded, stop, MSG_MORE); !status.ok()) return status;
    if (auto status = channel.Send({kData.data(), header.payload_bytes}, stop); !status.ok()) return status;
    left -= header.payload_bytes;
    ++header.sequence;
  }
  header.kind = FrameKind::kStreamEnd;
  header.payload_bytes = 0;
  EncodeHeader(header, encoded.data());
  return channel.Send(encoded, stop);
}

absl::StatusOr<StreamSample> ReceiveStream(Channel& channel, std::chrono::nanoseconds window, uint64_t max_bytes,
                                           MonotonicTime deadline, const std::stop_token& stop) {
  Meter meter(window);
  uint64_t announced = 0;
  while (true) {
    FrameHeader header;
    channel.SetTimeout(deadline);
    if (auto status = channel.ReceiveHeader(deadline, stop, &header); !status.ok()) return status;
    if (header.kind == FrameKind::kStreamEnd) return meter.Finish();
    if (header.kind != FrameKind::kChunk)
      return absl::InvalidArgumentError("a frame that does not belong into a stream");
    if (header.payload_bytes > max_bytes - announced)
      return absl::ResourceExhaustedError("the stream is longer than the session was granted");
    announced += header.payload_bytes;
    for (size_t left = header.payload_bytes; left > 0;) {
      size_t dropped = 0;
      if (auto status = channel.DropPayload(left, stop, &dropped); !status.ok()) return status;
      meter.Add(dropped, MonotonicNow());
      left -= dropped;
    }
    if (MonotonicNow() >= deadline) return absl::DeadlineExceededError("the stream did not end in time");
  }
}

}  // namespace netsense::tcp
