#include "transports/checked_session.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/stream_meter.h"

namespace netsense {
namespace {

using std::chrono::nanoseconds;

// Two hosts' quartz clocks differ by some 100 in a million; steps of the wall clock are in none of these figures.
constexpr double kClocks = 1.001;
constexpr nanoseconds kReading = std::chrono::microseconds(10);  // of two clocks, and what they round
// A host that stands still between handing over and looking at its clock.
constexpr nanoseconds kStandstill = std::chrono::milliseconds(100);
// A receiver that wakes up late finds more than came meanwhile: so much faster is still no contradiction.
constexpr double kRateTolerance = 1.05;

nanoseconds Longer(nanoseconds time) {
  return nanoseconds(static_cast<int64_t>(static_cast<double>(time.count()) * kClocks)) + kReading;
}

absl::Status Lie(const std::string& text) {
  return absl::DataLossError(absl::StrCat("the peer's figures cannot be: ", text));
}

double Seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

// Of a stream that took us `around`, from the call to its end. `port_bps` of the slower port, 0 = not known.
absl::Status Judge(nanoseconds around, uint64_t most_bytes, double port_bps, StreamSample* sample) {
  const uint64_t sent = sample->sent ? sample->sent->bytes : most_bytes;
  if (sample->bytes > sent)
    return Lie(absl::StrCat(sample->bytes, " bytes received of ", sent, sample->sent ? " sent" : " asked for"));
  if (sample->elapsed > Longer(around))
    return Lie(absl::StrFormat("received within %.6f s of a call that took %.6f s", Seconds(sample->elapsed),
                               Seconds(around)));
  if (sample->sent && sample->elapsed + kStandstill < sample->sent->past_buffers / 2)
    return Lie(absl::StrFormat("received within %.6f s what took %.6f s to hand over", Seconds(sample->elapsed),
                               Seconds(sample->sent->past_buffers)));
  if (port_bps <= 0) return absl::OkStatus();
  const double most = port_bps * kRateTolerance * Seconds(sample->elapsed) / 8;
  const auto received = static_cast<double>(sample->bytes_in_elapsed);
  if (received > most + static_cast<double>(kMostBuffered))
    return Lie(absl::StrFormat("%d bytes within %.6f s by a port of %g Gb/s", sample->bytes_in_elapsed,
                               Seconds(sample->elapsed), port_bps / 1e9));
  sample->buffered = received > most;
  return absl::OkStatus();
}

class CheckedSession final : public Session {
 public:
  CheckedSession(std::unique_ptr<Session> session, uint64_t most_bytes, double port_bps)
      : session_(std::move(session)), most_bytes_(most_bytes), port_bps_(port_bps) {}

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (over_) return absl::UnavailableError("the session is over");
    const MonotonicTime start = MonotonicNow();
    ASSIGN_OR_RETURN(auto sample, session_->Ping(spec, deadline, std::move(stop)));
    if (sample.responder_hold && *sample.responder_hold > Longer(sample.rtt))
      return Over(Lie(absl::StrFormat("a ping held for %.3f ms of a round trip of %.3f ms",
                                      1e3 * Seconds(*sample.responder_hold), 1e3 * Seconds(sample.rtt))));
    if (start + sample.rtt > deadline)
      return absl::DeadlineExceededError(
          absl::StrFormat("answered after %.0f ms: too late", 1e3 * Seconds(sample.rtt)));
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    if (over_) return absl::UnavailableError("the session is over");
    const MonotonicTime start = MonotonicNow();
    ASSIGN_OR_RETURN(auto sample, session_->Stream(spec, deadline, std::move(stop)));
    // A peer that sends goes on to its bounds.
    if (spec.direction == Direction::kFromPeer && spec.finish.stop_requested()) over_ = true;
    if (sample.bytes == 0 && !spec.finish.stop_requested())
      return Over(absl::DataLossError("nothing of the stream arrived"));
    const uint64_t most = spec.bytes == 0 ? most_bytes_ : std::min(spec.bytes, most_bytes_);
    if (auto status = Judge(MonotonicNow() - start, most, port_bps_, &sample); !status.ok()) return Over(status);
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return session_->peer(); }
  SessionDetails details() const override { return session_->details(); }

 private:
  absl::Status Over(absl::Status status) {
    over_ = true;
    return status;
  }

  const std::unique_ptr<Session> session_;
  const uint64_t most_bytes_;
  const double port_bps_;
  bool over_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> ConnectChecked(Transport& transport, DoorConnection connection,
                                                        uint64_t port_bps, MonotonicTime deadline,
                                                        std::stop_token stop) {
  const uint64_t most_bytes = connection.request.max_stream_bytes();
  const uint64_t peers = connection.grant.port_speed_bps();
  uint64_t slower = port_bps == 0 || (peers != 0 && peers < port_bps) ? peers : port_bps;
  if (!NetdevOfAddress(connection.peer_address).empty()) slower = 0;  // our own host: it goes through no port
  ASSIGN_OR_RETURN(auto session, transport.Connect(std::move(connection), deadline, std::move(stop)));
  return std::make_unique<CheckedSession>(std::move(session), most_bytes, static_cast<double>(slower));
}

}  // namespace netsense
