#include "engine/scheduler.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <random>

#include "base/logging.h"

namespace netsense {
namespace {

// A probe older than this lends its place to the next one.
constexpr std::chrono::milliseconds kYoung{20};
// After so many lost pings in a row the session is opened anew.
constexpr uint32_t kLossesUntilReconnect = 2;
// So often a stream that was too short is tried again within its slot, each time longer.
constexpr int kLongerStreams = 4;
// First pings of a new plan are spread over this time.
constexpr std::chrono::milliseconds kStartSpread{250};
// A path whose plan is still in force and that was not probed for so many intervals is STALE.
constexpr int kStaleIntervals = 3;

// Another peer or another way to it is another path, whatever its id.
bool SameWay(const v1::PlannedPath& a, const v1::PlannedPath& b) {
  return a.dst_node_id() == b.dst_node_id() && a.dst_address() == b.dst_address() && a.dst_port() == b.dst_port() &&
         a.transport() == b.transport() && a.source_address() == b.source_address() &&
         a.source_port() == b.source_port() && a.destination_port() == b.destination_port() &&
         google::protobuf::util::MessageDifferencer::Equals(a.options(), b.options());
}

std::chrono::milliseconds Interval(const v1::PlannedPath& spec) {
  return std::chrono::milliseconds(spec.ping_interval_ms());
}

PathKind KindOf(const v1::PlannedPath& spec, v1::FabricKind fabric) {
  PathKind kind{spec.transport(), fabric, std::nullopt, spec.cross_rail()};
  if (spec.has_rail()) kind.rail = spec.rail();
  return kind;
}

}  // namespace

struct Scheduler::Path {
  Path(const ProbeContext* context, MonotonicTime now) : prober(context), record(now) {}

  v1::PlannedPath spec;
  PathProber prober;  // used by the running ping alone
  PathRecord record;
  uint64_t version = 0;
  bool removed = false;

  MonotonicTime ping_due{};
  std::optional<MonotonicTime> ping_started;
  bool stream_running = false;
  int64_t last_slot_index = -1;       // the last slot whose stream is done, or was given up
  MonotonicTime stream_not_before{};  // a BUSY peer is asked again a little later, one that fails some rounds later
  int longer_streams = 0;             // tried in this slot, because the last one was too short to be timed
};

Scheduler::Scheduler(const ProbeContext* context)
    : context_(context), no_lease_since_(MonotonicNow()), thread_([this] { Loop(); }) {}

Scheduler::~Scheduler() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
    probes_stop_.request_stop();
    wake_.notify_all();
  }
  thread_.join();
}

void Scheduler::Apply(const v1::Plan& plan) {
  std::lock_guard lock(mutex_);
  MonotonicTime now = MonotonicNow();
  std::map<std::string, PathPtr> next;
  int fresh = 0;
  for (const v1::PlannedPath& spec : plan.paths()) {
    PathPtr path;
    auto known = paths_.find(spec.path_id());
    if (known != paths_.end() && SameWay(known->second->spec, spec)) {
      path = known->second;
      if (path->spec.ping_interval_ms() != spec.ping_interval_ms())
        path->ping_due = std::min(path->ping_due, now + Interval(spec));
    } else {
      path = std::make_shared<Path>(context_, now);
      auto spread = std::min<std::chrono::nanoseconds>(Interval(spec), kStartSpread);
      path->ping_due = now + spread * fresh++ / plan.paths_size();
      v1::Port port = SourcePort(spec);
      path->record.SetSourcePort(port.name(), port.fabric());
    }
    path->spec = spec;
    path->record.Configure(plan, spec);
    path->record.SetCrossRail(spec.cross_rail());
    path->record.AddTo(&totals_[KindOf(spec, path->record.fabric())]);
    Touch(*path);
    next.emplace(spec.path_id(), std::move(path));
  }
  for (auto& [id, path] : paths_) {
    auto kept = next.find(id);
    if (kept == next.end() || kept->second != path) path->removed = true;
  }
  paths_ = std::move(next);
  named_.Keep(plan);
  plan_ = plan;
  plan_.clear_paths();
  max_lateness_ms_ = 0;
  if (!lease_in_force_) {
    // Due times from before a pause are no lateness.
    for (auto& [id, path] : paths_) path->ping_due = std::max(path->ping_due, now);
    probes_stop_ = std::stop_source();
  }
  lease_in_force_ = true;
  lease_end_ = now + std::chrono::milliseconds(plan.lease_ms());
  wake_.notify_all();
}

bool Scheduler::Renew(const std::string& plan_id, std::chrono::milliseconds lease) {
  std::lock_guard lock(mutex_);
  if (!lease_in_force_ || plan_.plan_id() != plan_id) return false;
  lease_end_ = MonotonicNow() + lease;
  wake_.notify_all();
  return true;
}

Scheduler::Lease Scheduler::lease() const {
  std::lock_guard lock(mutex_);
  Lease lease{plan_.plan_id(), lease_in_force_, 0, leases_expired_, std::nullopt};
  if (lease_in_force_) {
    lease.left_ms = std::max<int64_t>(MillisSince(MonotonicNow(), lease_end_), 0);
  } else {
    lease.since = no_lease_since_;
  }
  return lease;
}

Scheduler::Results Scheduler::Collect(uint64_t after) const {
  std::lock_guard lock(mutex_);
  Results results;
  results.version = version_;
  for (const auto& [kind, totals] : totals_) results.totals.push_back(ExportTotals(kind, totals));
  MonotonicTime now = MonotonicNow();
  for (const auto& [id, path] : paths_) {
    if (after != 0 && path->version <= after) continue;
    auto ttl = Interval(path->spec) * kStaleIntervals + std::chrono::milliseconds(2 * path->spec.ping_timeout_ms());
    results.paths.push_back(path->record.Summarize(id, ttl, now));
  }
  return results;
}

void Scheduler::WaitForNews(uint64_t after, std::chrono::milliseconds timeout, std::stop_token stop) const {
  std::unique_lock lock(mutex_);
  news_.wait_for(lock, stop, timeout, [&] { return version_ > after || quit_; });
}

uint64_t Scheduler::max_ping_lateness_ms() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint64_t>(max_lateness_ms_);
}

void Scheduler::Touch(Path& path) {
  path.version = ++version_;
  news_.notify_all();
}

void Scheduler::Loop() {
  std::unique_lock lock(mutex_);
  while (!quit_) {
    MonotonicTime now = MonotonicNow();
    if (lease_in_force_ && now >= lease_end_) EndLease(now);
    if (!lease_in_force_) {
      wake_.wait(lock);
      continue;
    }
    MonotonicTime next = std::min({lease_end_, StartDuePings(now), StartDueStreams(now)});
    wake_.wait_until(lock, next);
  }
}

void Scheduler::EndLease(MonotonicTime now) {
  spdlog::warn("the plan's lease ran out: nobody renewed it, probing stops");
  lease_in_force_ = false;
  no_lease_since_ = now;
  ++leases_expired_;
  probes_stop_.request_stop();
  for (auto& [id, path] : paths_) {
    if (!path->ping_started) path->prober.DropSession();
    Touch(*path);
  }
}

MonotonicTime Scheduler::StartDuePings(MonotonicTime now) {
  uint32_t occupied = 0;
  MonotonicTime next = MonotonicTime::max();
  MonotonicTime next_free = MonotonicTime::max();
  std::vector<PathPtr> due;
  for (auto& [id, path] : paths_) {
    if (path->ping_started) {
      if (now - *path->ping_started < kYoung) {
        ++occupied;
        next_free = std::min(next_free, *path->ping_started + kYoung);
      }
    } else if (path->ping_due <= now && MayBeDialled(*path, now)) {
      due.push_back(path);
    } else {
      next = std::min(next, path->ping_due);
    }
  }
  std::sort(due.begin(), due.end(), [](const PathPtr& a, const PathPtr& b) {
    return std::make_pair(!a->record.healthy(), a->ping_due) < std::make_pair(!b->record.healthy(), b->ping_due);
  });
  for (const PathPtr& path : due) {
    if (occupied >= plan_.ping_concurrency()) return std::min(next, next_free);
    StartPing(path, now);
    ++occupied;
    next_free = std::min(next_free, now + kYoung);
  }
  return next;
}

// Streams ask for no leave of their own: they go where pings are answered.
bool Scheduler::MayBeDialled(Path& path, MonotonicTime now) {
  const absl::Status named = named_.Check(path.spec);
  if (named.ok()) return true;
  if (path.prober.peer() != nullptr) path.prober.DropSession();
  path.record.NotDialled(named, now);
  path.ping_due = now + Interval(path.spec);
  Touch(path);
  return false;
}

void Scheduler::StartPing(const PathPtr& path, MonotonicTime now) {
  if (path->record.healthy()) max_lateness_ms_ = std::max(max_lateness_ms_, MillisSince(path->ping_due, now));
  path->ping_started = now;
  // The cadence is kept; ticks that were missed are not made up for.
  path->ping_due += Interval(path->spec);
  if (path->ping_due <= now) path->ping_due = now + Interval(path->spec);
  bool started =
      workers_.Run([this, path, spec = path->spec, self = plan_.self_node_id(), stop = probes_stop_.get_token()] {
        auto sample = path->prober.Ping(spec, self, stop);
        std::lock_guard lock(mutex_);
        MonotonicTime end = MonotonicNow();
        path->ping_started.reset();
        path->record.SetBinding(path->prober.binding());
        if (sample.ok()) {
          path->record.PingAnswered(*sample, end);
          if (path->prober.peer() != nullptr) {
            path->record.SetPeer(*path->prober.peer());
            if (!path->removed) named_.Learn(spec, *path->prober.peer());
          }
        } else if (!absl::IsCancelled(sample.status())) {
          path->record.PingFailed(sample.status(), end);
          if (path->record.losses_in_a_row() >= kLossesUntilReconnect) path->prober.DropSession();
        }
        if (stop.stop_requested() || path->removed) path->prober.DropSession();
        Touch(*path);
        wake_.notify_all();
      });
  if (!started) {
    path->ping_started.reset();
    path->record.PingFailed(absl::InternalError("no thread left for this probe"), now);
    Touch(*path);
  }
}

MonotonicTime Scheduler::StartDueStreams(MonotonicTime now) {
  MonotonicTime next = MonotonicTime::max();
  int64_t epoch_ms = EpochMillis();  // slots are agreed upon by wall clock; a step of it costs a slot, never a result
  for (auto& [id, path] : paths_) {
    const v1::PlannedPath& spec = path->spec;
    if (spec.bandwidth_slots() == 0 || path->stream_running) continue;
    int64_t slot_ms = spec.bandwidth_slot_ms();
    int64_t index = epoch_ms / slot_ms;
    int64_t ahead =
        (spec.bandwidth_slot() - index % spec.bandwidth_slots() + spec.bandwidth_slots()) % spec.bandwidth_slots();
    if (ahead == 0 && path->last_slot_index == index) ahead = spec.bandwidth_slots();
    if (ahead > 0) {
      next = std::min(next, now + std::chrono::milliseconds((index + ahead) * slot_ms - epoch_ms));
    } else if (!path->record.healthy()) {
      // A dead peer gets no bandwidth probes: its pings tell when it is back.
      path->last_slot_index = index;
    } else if (path->stream_not_before > now) {
      next = std::min(next, path->stream_not_before);
    } else if (streams_running_ < plan_.bandwidth_concurrency()) {
      StartStream(path, index);
    }
  }
  return next;
}

void Scheduler::StartStream(const PathPtr& path, int64_t slot_index) {
  path->stream_running = true;
  ++streams_running_;
  const uint64_t bytes = path->record.bandwidth().NextBytes(path->spec.bandwidth_bytes(), context_->max_stream_bytes);
  path->record.bandwidth().Tried(bytes);
  bool started = workers_.Run(
      [this, path, slot_index, bytes, spec = path->spec, self = plan_.self_node_id(), stop = probes_stop_.get_token()] {
        auto outcome = ProbeBandwidth(*context_, spec, bytes, self, stop);
        const bool stalled =
            absl::IsDeadlineExceeded(outcome.stream.status()) || absl::IsUnavailable(outcome.stream.status());
        const std::string black_hole = stalled ? FindBlackHole(*context_, spec, self, stop) : "";
        std::lock_guard lock(mutex_);
        EndStream(*path, slot_index, std::move(outcome), black_hole);
        wake_.notify_all();
      });
  if (!started) {
    path->stream_running = false;
    --streams_running_;
    path->last_slot_index = slot_index;
    path->record.StreamFailed(absl::InternalError("no thread left for this probe"), "", MonotonicNow());
  }
}

void Scheduler::EndStream(Path& path, int64_t slot_index, BandwidthOutcome outcome, const std::string& black_hole) {
  thread_local std::minstd_rand random(std::random_device{}());
  const MonotonicTime end = MonotonicNow();
  const absl::Status& status = outcome.stream.status();
  BandwidthRecord& bandwidth = path.record.bandwidth();
  path.stream_running = false;
  --streams_running_;
  path.last_slot_index = slot_index;
  bool again = false;  // within the slot
  if (status.ok()) {
    path.record.StreamMeasured(*outcome.stream, end);
    path.record.SetExpected(outcome.expected);
    again = !outcome.stream->bps() && bandwidth.too_short(context_->max_stream_bytes) &&
            ++path.longer_streams <= kLongerStreams;
  } else if (absl::IsAborted(status) || absl::IsResourceExhausted(status)) {
    path.record.StreamNotTried(status);
    again = absl::IsAborted(status);
  } else if (!absl::IsCancelled(status)) {
    path.record.StreamFailed(status, black_hole, end);
    path.stream_not_before = end + bandwidth.rest();
  }
  if (again) {
    path.last_slot_index = -1;
    path.stream_not_before = end + std::chrono::milliseconds(50 + random() % 100);
  } else {
    path.longer_streams = 0;
  }
  if (status.ok() || !outcome.counters.empty()) path.record.SetCounters(std::move(outcome.counters), end);
  Touch(path);
}

}  // namespace netsense
