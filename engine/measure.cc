#include "engine/measure.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <latch>
#include <limits>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "engine/probe_session.h"
#include "engine/stream_evidence.h"

namespace netsense {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::milliseconds kBusyPause{20};
constexpr uint64_t kPingsPerProgress = 256;
constexpr int kMostLostAtFirst = 5;  // in a row, in the warm-up: nobody answers

absl::StatusOr<ProbeSession> Open(const TransportRegistry& transports, const Pinning& pinning,
                                  const MeasureTarget& target, v1::SessionPurpose purpose, uint64_t max_stream_bytes,
                                  uint64_t measurement, bool patient, const std::stop_token& stop) {
  // Whoever asks for it here must learn why it cannot run.
  if (auto transport = transports.Await(target.transport); !transport.ok()) return transport.status();
  v1::OpenSession request;
  request.set_transport(target.transport);
  request.set_purpose(purpose);
  request.set_wait_mode(target.wait_mode);
  *request.mutable_options() = target.options;
  request.set_max_stream_bytes(max_stream_bytes);
  request.set_measurement(measurement);
  request.set_software_version(NETSENSE_VERSION);
  const MonotonicTime deadline = MonotonicNow() + deadlines::kConnect();
  // The responder may still be taking leave of the measurement before.
  const MonotonicTime patience = patient ? MonotonicNow() + deadlines::kPortBusy() : MonotonicTime{};
  auto open = [&] {
    return OpenProbe(transports, &pinning, {target.host, target.port, target.from, target.token}, request, deadline,
                     stop);
  };
  auto opened = open();
  while (absl::IsAborted(opened.status()) && MonotonicNow() < patience && !SleepUnlessStopped(stop, kBusyPause))
    opened = open();
  return opened;
}

}  // namespace

absl::StatusOr<PingResult> MeasurePing(const TransportRegistry& transports, const PingRequest& request,
                                       const OnProgress& progress, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto pinning, Pinning::Create(request.target.pinning));
  ASSIGN_OR_RETURN(auto opened, Open(transports, *pinning, request.target, v1::SESSION_PURPOSE_PING, 0, 0, true, stop));
  Session* const session = opened.session.get();
  opened.connection.Reset();
  PingResult result;
  result.peer = session->peer();
  result.details = session->details();
  result.binding = opened.binding;
  PingSpec spec{.payload_bytes = request.payload_bytes};
  int lost_in_a_row = 0;
  for (uint64_t i = 0; i < request.warmup; ++i) {
    auto sample = session->Ping(spec, MonotonicNow() + request.timeout, stop);
    lost_in_a_row = sample.ok() ? 0 : lost_in_a_row + 1;
    if (!sample.ok() && (!absl::IsDeadlineExceeded(sample.status()) || lost_in_a_row == kMostLostAtFirst))
      return sample.status();
    if (stop.stop_requested()) return absl::CancelledError("interrupted during the warm-up: nothing was measured");
  }

  const MonotonicTime start = MonotonicNow();
  const auto duration = request.bounds.duration;
  const auto interval = request.interval;
  absl::Status last_loss;
  uint64_t sent = 0;
  nanoseconds since_start{};  // of the last ping
  for (; !stop.stop_requested(); ++sent) {
    const MonotonicTime now = MonotonicNow();
    if (request.bounds.iterations ? sent >= *request.bounds.iterations : now - start >= *duration) break;
    since_start = now - start;
    auto sample = session->Ping(spec, now + request.timeout, stop);
    if (sample.ok()) {
      result.rtt.Add(sample->rtt);
      result.network_rtt.Add(sample->network_rtt());
      if (sample->responder_hold) result.responder_hold.Add(*sample->responder_hold);
      if (sample->stamped_rtt) result.host_delay.Add(sample->host_delay());
      if (sample->retransmits) result.retransmits = result.retransmits.value_or(0) + *sample->retransmits;
      result.source = std::max(result.source, sample->source);
    } else if (absl::IsDeadlineExceeded(sample.status())) {
      ++result.lost;
      last_loss = sample.status();
    } else {
      if (!absl::IsCancelled(sample.status())) result.failure = sample.status();
      break;
    }
    if (sent % kPingsPerProgress == 0 || interval.count() > 0) {
      progress(request.bounds.iterations
                   ? static_cast<double>(sent) / static_cast<double>(*request.bounds.iterations)
                   : std::chrono::duration<double>(now - start) / std::chrono::duration<double>(*duration));
    }
    if (interval.count() > 0) {
      // The next tick of the schedule that is still to come.
      const MonotonicTime tick = start + ((MonotonicNow() - start) / interval + 1) * interval;
      const bool last = request.bounds.iterations && sent + 1 >= *request.bounds.iterations;
      if (!last) SleepUnlessStopped(stop, (duration ? std::min(tick, start + *duration) : tick) - MonotonicNow());
    }
  }
  result.elapsed = MonotonicNow() - start;
  if (interval.count() > 0) {
    const nanoseconds scheduled = duration ? std::min(*duration - nanoseconds(1), result.elapsed) : since_start;
    const auto due = static_cast<uint64_t>(scheduled / interval) + 1;
    result.not_sent = due > sent ? due - sent : 0;
  }
  // A few pings without stamps make no other measurement of it, and a few with stamps neither.
  if (result.rtt.count() > 0 && result.host_delay.count() * 2 < result.rtt.count())
    result.source = v1::TIMESTAMP_SOURCE_USER;
  result.interrupted = stop.stop_requested();
  if (result.rtt.count() == 0) {
    if (!result.failure.ok()) return result.failure;
    return last_loss.ok() ? absl::CancelledError("interrupted: nothing was measured") : last_loss;
  }
  return result;
}

namespace {

// One of the streams of a bandwidth measurement, in a thread of its own, for it is pinned.
class StreamRun {
 public:
  StreamRun(const TransportRegistry& transports, const Pinning& pinning, const BandwidthRequest& request,
            Direction direction, uint64_t measurement, bool watched)
      : transports_(transports),
        pinning_(pinning),
        request_(request),
        direction_(direction),
        measurement_(measurement),
        watched_(watched) {}

  // `first_open`: counted down by the first stream. It waits for a busy port; the others follow it in. `stop` ends it
  // before it streams, and then in order; `abort`, for all streams, at once.
  void Run(std::latch* first_open, bool first, std::barrier<>* start, const std::stop_token& stop,
           std::stop_source* abort) {
    if (!first) first_open->wait();
    {
      std::stop_source early;
      std::stop_callback on_stop(stop, [&early] { early.request_stop(); });
      std::stop_callback on_abort(abort->get_token(), [&early] { early.request_stop(); });
      status_ = early.stop_requested() ? absl::CancelledError("stopped") : OpenSession(first, early.get_token());
      if (!status_.ok()) abort->request_stop();  // the others need not go on
      if (first) first_open->count_down();
      if (status_.ok()) status_ = WarmUp(early.get_token());
      if (!status_.ok()) abort->request_stop();
    }
    start->arrive_and_wait();  // all are ready
    start->arrive_and_wait();  // the counters are read
    if (!status_.ok()) return;
    StreamSpec spec = SpecOf(request_.bounds);
    spec.finish = stop;
    if (watched_) spec.moved = &moved_;
    auto sample = opened_.session->Stream(spec, Deadline(spec), abort->get_token());
    if (sample.ok()) {
      sample_ = *sample;
    } else {
      status_ = sample.status();
      abort->request_stop();
    }
  }

  void Fail(absl::Status status) { status_ = std::move(status); }
  const absl::Status& status() const { return status_; }
  const ProbeSession& opened() const { return opened_; }
  BandwidthResult::Stream stream() const { return {direction_, sample_}; }
  Direction direction() const { return direction_; }
  uint64_t moved() const { return moved_; }

 private:
  absl::Status OpenSession(bool patient, const std::stop_token& stop) {
    const uint64_t most = request_.bounds.iterations && request_.warmup.count() == 0
                              ? *request_.bounds.iterations * request_.payload_bytes
                              : std::numeric_limits<uint64_t>::max();
    auto opened =
        Open(transports_, pinning_, request_.target, v1::SESSION_PURPOSE_STREAM, most, measurement_, patient, stop);
    if (!opened.ok()) return opened.status();
    opened_ = *std::move(opened);
    return absl::OkStatus();
  }

  absl::Status WarmUp(const std::stop_token& stop) {
    if (request_.warmup.count() == 0) return absl::OkStatus();
    StreamSpec spec = SpecOf({.iterations = {}, .duration = request_.warmup});
    return opened_.session->Stream(spec, Deadline(spec), stop).status();
  }

  StreamSpec SpecOf(const MeasureBounds& bounds) const {
    StreamSpec spec{.direction = direction_, .message_bytes = request_.message_bytes, .window = request_.window};
    if (bounds.iterations) {
      spec.bytes = *bounds.iterations * request_.payload_bytes;
    } else {
      spec.duration = *bounds.duration;
    }
    return spec;
  }

  static MonotonicTime Deadline(const StreamSpec& spec) {
    return MonotonicNow() + (spec.bytes > 0 ? std::chrono::nanoseconds(deadlines::kUntimedStream())
                                            : deadlines::kDrain() + spec.duration);
  }

  const TransportRegistry& transports_;
  const Pinning& pinning_;
  const BandwidthRequest& request_;
  const Direction direction_;
  const uint64_t measurement_;
  const bool watched_;
  std::atomic<uint64_t> moved_ = 0;
  ProbeSession opened_;
  absl::Status status_;
  StreamSample sample_;
};

// While alive: aborts what is still there deadlines::kFinish after a stop.
class AbortAfterStop {
 public:
  AbortAfterStop(const std::stop_token& stop, std::stop_source* abort)
      : thread_([stop, abort](const std::stop_token& over) {
          std::mutex mutex;
          std::condition_variable_any changed;
          std::stop_callback wake(stop, [&] {
            std::lock_guard lock(mutex);
            changed.notify_all();
          });
          std::unique_lock lock(mutex);
          if (!changed.wait(lock, over, [&] { return stop.stop_requested(); })) return;
          if (!changed.wait_for(lock, over, deadlines::kFinish(), [&] { return over.stop_requested(); }))
            abort->request_stop();
        }) {}

 private:
  std::jthread thread_;
};

// Tells what moved, once a second until `over`.
void Watch(const std::vector<std::unique_ptr<StreamRun>>& runs, const OnInterval& tell, const std::stop_token& over) {
  const MonotonicTime start = MonotonicNow();
  nanoseconds told{};
  std::vector<uint64_t> before(runs.size());
  while (!SleepUnlessStopped(over, start + told + std::chrono::seconds(1) - MonotonicNow())) {
    BandwidthInterval interval;
    interval.since_start = MonotonicNow() - start;
    interval.length = interval.since_start - std::exchange(told, interval.since_start);
    for (size_t i = 0; i < runs.size(); ++i) {
      const uint64_t now = runs[i]->moved(), bytes = now - std::exchange(before[i], now);
      if (now == kMovedNotKnown) continue;
      auto& sum = runs[i]->direction() == Direction::kToPeer ? interval.to_peer_bytes : interval.from_peer_bytes;
      sum = sum.value_or(0) + bytes;
    }
    tell(interval);
  }
}

StreamSample Total(const std::vector<BandwidthResult::Stream>& streams) {
  StreamSample total;
  for (const auto& [direction, sample] : streams) {
    total.bytes += sample.bytes;
    // The sum of rates is known where each is.
    total.receipts = total.receipts == 0 ? sample.receipts : std::min(total.receipts, sample.receipts);
    total.buffered = total.buffered || sample.buffered;
    total.bytes_in_elapsed += sample.bytes_in_elapsed;
    total.elapsed = std::max(total.elapsed, sample.elapsed);
    total.min_window_bps += sample.min_window_bps;
    total.max_window_bps += sample.max_window_bps;
  }
  // Streams that did not all last as long have no common windows.
  if (auto bps = total.bps()) {
    total.min_window_bps = std::min(total.min_window_bps, *bps);
    total.max_window_bps = std::max(total.max_window_bps, *bps);
  }
  return total;
}

}  // namespace

absl::StatusOr<BandwidthResult> MeasureBandwidth(const TransportRegistry& transports, const BandwidthRequest& request,
                                                 std::stop_token stop, const OnInterval& on_interval) {
  ASSIGN_OR_RETURN(auto pinning, Pinning::Create(request.target.pinning));
  const uint64_t measurement = std::random_device()() | uint64_t{std::random_device()()} << 32 | 1;
  std::vector<std::unique_ptr<StreamRun>> runs;
  for (Direction direction : request.directions)
    for (uint32_t i = 0; i < request.streams; ++i)
      runs.push_back(
          std::make_unique<StreamRun>(transports, *pinning, request, direction, measurement, on_interval != nullptr));

  std::stop_source abort;
  AbortAfterStop abort_after_stop(stop, &abort);
  std::optional<StreamEvidence> evidence;
  std::latch first_open(1);
  std::barrier<> start(static_cast<std::ptrdiff_t>(runs.size()) + 1);
  {
    std::jthread watch;  // ends after the streams
    std::vector<std::jthread> threads;
    for (auto& run : runs) {
      const bool first = run == runs.front();
      try {
        threads.emplace_back([&first_open, &start, &stop, &abort, first, run = run.get()] {
          run->Run(&first_open, first, &start, stop, &abort);
        });
      } catch (const std::system_error& error) {  // no thread left: those that wait must not wait for this one
        run->Fail(absl::InternalError(absl::StrCat("no thread for a stream: ", error.what())));
        abort.request_stop();
        if (first) first_open.count_down();
        start.arrive_and_drop();
      }
    }
    start.arrive_and_wait();
    std::vector<const ProbeSession*> streams;
    for (const auto& run : runs) streams.push_back(&run->opened());
    evidence.emplace(streams.front()->port, std::move(streams));
    start.arrive_and_wait();
    try {
      if (on_interval) watch = std::jthread([&](const std::stop_token& over) { Watch(runs, on_interval, over); });
    } catch (const std::system_error&) {  // no thread left: nobody sees how it goes, and it is measured all the same
    }
  }
  // Of several failures the first that was not caused by another one.
  absl::Status failure;
  for (const auto& run : runs)
    if (failure.ok() || (absl::IsCancelled(failure) && !run->status().ok() && !absl::IsCancelled(run->status())))
      failure = run->status();
  if (!failure.ok()) return failure;

  BandwidthResult result;
  for (const auto& run : runs) result.streams.push_back(run->stream());
  result.sample = Total(result.streams);
  const ProbeSession& first = runs.front()->opened();
  result.binding = first.binding;
  result.counters = evidence->Counted();
  result.peer = first.session->peer();
  result.details = first.session->details();
  result.interrupted = stop.stop_requested();
  result.expected = evidence->Expected();
  if (request.directions.size() > 1 && result.expected.bps() > 0) {  // links and PCIe carry as much the other way
    result.expected.set_bps(2 * result.expected.bps());
    result.expected.set_limit(absl::StrCat(result.expected.limit(), ", each way"));
  }
  return result;
}

}  // namespace netsense
