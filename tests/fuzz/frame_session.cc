// Untrusted: the frames of a peer that has the token, over any transport that carries frames: to a responder, and to a
// prober that pings and streams. What must hold: no answer is larger than what was sent, nobody moves more than the
// session was granted, and a sample is one.
#include "transports/frame_session.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

constexpr uint64_t kNonce = 0x6e6f6e6365;
constexpr uint32_t kMaxPing = 4096, kUsualChunk = 1 << 16, kMaxChunk = 1 << 20;
constexpr int kMostChunks = 64;  // sent by our side, then the peer is gone
constexpr std::chrono::seconds kLong{60};

// Frames as they stand in the input: kind, payload length, 8 bits of "of this session?", sequence, value, payload.
class Script final : public FrameCarrier {
 public:
  explicit Script(std::string_view bytes) : input_(bytes) {}

  absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime, const std::stop_token&) override {
    MustHold(frame.size() >= kHeaderBytes, "a frame has a header");
    const FrameHeader header = DecodeHeader(frame.data());
    MustHold(header.nonce == kNonce && frame.size() == kHeaderBytes + header.payload_bytes,
             "a frame of this session, and whole");
    if (header.kind == FrameKind::kPong)
      MustHold(header.payload_bytes <= last_payload_, "no echo is larger than its ping");
    return absl::OkStatus();
  }
  absl::Status Post() override { return absl::OkStatus(); }
  absl::StatusOr<Incoming> Receive(MonotonicTime, const std::stop_token&) override {
    if (input_.empty()) return absl::UnavailableError("the peer is gone");
    Incoming frame;
    frame.header.kind = static_cast<FrameKind>(input_.Byte());
    const uint32_t length = uint32_t{input_.Byte()} << 8 | input_.Byte();
    frame.header.nonce = kNonce ^ (input_.Byte() == 0xff ? 1 : 0);
    frame.header.sequence = input_.Byte();
    for (int i = 0; i < 8; ++i) frame.header.value = frame.header.value << 8 | input_.Byte();
    if (frame.header.kind == FrameKind::kChunk) {
      frame.header.payload_bytes = length << 4;
    } else {
      const std::string_view payload = input_.Take(std::min(length, kMaxPing));
      frame.payload.assign(payload.begin(), payload.end());
      frame.header.payload_bytes = static_cast<uint32_t>(payload.size());
    }
    last_payload_ = frame.header.payload_bytes;
    frame.received_at = MonotonicNow();
    return frame;
  }
  absl::Status SendChunk(const FrameHeader& header, MonotonicTime, const std::stop_token&) override {
    sent_ += header.payload_bytes;
    return ++chunks_ > kMostChunks ? absl::UnavailableError("the peer is gone") : absl::OkStatus();
  }
  absl::Status Flush(MonotonicTime, const std::stop_token&) override { return absl::OkStatus(); }
  uint32_t max_ping_payload() const override { return kMaxPing; }
  uint32_t usual_chunk() const override { return kUsualChunk; }
  uint32_t max_chunk() const override { return kMaxChunk; }
  SessionDetails details() const override { return {}; }

  uint64_t sent() const { return sent_; }

 private:
  Input input_;
  uint32_t last_payload_ = 0;
  uint64_t sent_ = 0;
  int chunks_ = 0;
};

DoorConnection Granted(v1::SessionPurpose purpose, uint64_t max_bytes) {
  DoorConnection connection;
  connection.request.set_purpose(purpose);
  connection.request.set_max_stream_bytes(max_bytes);
  connection.grant.set_session_nonce(kNonce);
  return connection;
}

void Respond(Input& input) {
  const v1::SessionPurpose purpose = input.Coin() ? v1::SESSION_PURPOSE_STREAM : v1::SESSION_PURPOSE_PING;
  const uint64_t max_bytes = uint64_t{input.Byte()} << 16;
  Script carrier(input.Rest());
  (void)ServeFrames(Granted(purpose, max_bytes), carrier, {}, {});
  MustHold(purpose == v1::SESSION_PURPOSE_STREAM || carrier.sent() == 0, "nothing is streamed in a session for pings");
}

void Probe(Input& input) {
  const v1::SessionPurpose purpose = input.Coin() ? v1::SESSION_PURPOSE_STREAM : v1::SESSION_PURPOSE_PING;
  const uint64_t max_bytes = (uint64_t{input.Byte()} << 16) + 1;
  const uint8_t bytes = input.Byte();
  StreamSpec spec{.direction = input.Coin() ? Direction::kToPeer : Direction::kFromPeer,
                  .bytes = uint64_t{bytes} << 12};
  const int pings = input.Byte() % 4;
  auto script = std::make_unique<Script>(input.Rest());
  const Script& carrier = *script;
  const auto session = MakeFrameSession(Granted(purpose, max_bytes), std::move(script));
  for (int i = 0; i < pings; ++i)
    if (const auto sample = session->Ping({.payload_bytes = 8}, MonotonicNow() + kLong, {}); sample.ok())
      MustHold(sample->rtt.count() >= 0 && sample->network_rtt().count() >= 0 && sample->responder_hold->count() >= 0,
               "no time of a round trip is negative");
  const auto sample = session->Stream(spec, MonotonicNow() + kLong, {});
  MustHold(carrier.sent() <= max_bytes, "no more is sent than was granted");
  if (!sample.ok()) return;
  MustHold(sample->bytes_in_elapsed <= sample->bytes && sample->elapsed.count() >= 0,
           "a stream's count does not contradict itself");
  MustHold(spec.direction == Direction::kToPeer || sample->bytes <= max_bytes, "no more is taken than was granted");
  if (const auto bps = sample->bps()) MustHold(std::isfinite(*bps) && *bps >= 0, "a rate is a number");
}

void Run(std::string_view bytes) {
  if (bytes.size() >= kHeaderBytes) {
    const auto* header = reinterpret_cast<const uint8_t*>(bytes.data());
    std::array<uint8_t, kHeaderBytes> again{};
    EncodeHeader(DecodeHeader(header), again.data());
    MustHold(std::memcmp(again.data(), header, kHeaderBytes) == 0, "a header is the same when it is written again");
  }
  Input input(bytes);
  if (input.Coin())
    Respond(input);
  else
    Probe(input);
}

const Harness kHarness("frame_session", Run);

}  // namespace
}  // namespace netsense::fuzz
