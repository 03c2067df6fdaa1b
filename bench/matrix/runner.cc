#include "bench/matrix/runner.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "bench/rows.h"
#include "proto/enum_names.h"

namespace netsense::matrix {
namespace {

constexpr std::chrono::milliseconds kFirstPause{10}, kLongestPause{500};
// An order may take this much more than planned before it counts as late: slow links are what we look for.
constexpr double kSlowestGbps = 0.05;
constexpr double kSlowestPingSeconds = 5e-3;
// A pair too slow for the number of pings is given so much time instead.
constexpr std::chrono::seconds kSlowPairTime{2};
// From then on an order that has no answer yet is a reason to look whether both its nodes are there.
constexpr std::chrono::milliseconds kLate{250};

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

// The network's, or the other node's: not a refusal, and not a fault of the measuring node.
bool MayBeTheNetwork(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded ||
         code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kNotFound;
}

// Ok, or why a node cannot run a transport.
absl::Status Runs(const Node& node, const std::string& transport) {
  for (const v1::TransportInfo& info : node.description.transports())
    if (info.name() == transport)
      return info.available() ? absl::OkStatus()
                              : absl::UnimplementedError(absl::StrCat(node.name, ": ", Printable(info.reason())));
  return absl::UnimplementedError(absl::StrCat(node.name, " has no transport '", transport, "'"));
}

// Until the port is free, or `until`.
template <typename Measure>
auto WhenFree(MonotonicTime until, const std::stop_token& stop, Measure measure) {
  auto result = measure();
  for (auto pause = kFirstPause; MonotonicNow() < until; pause = std::min(2 * pause, kLongestPause)) {
    if (!absl::IsAborted(result.status()) && !absl::IsResourceExhausted(result.status())) break;
    if (SleepUnlessStopped(stop, pause)) break;
    result = measure();
  }
  return result;
}

}  // namespace

Load Settings::load() const {
  Load load;
  if (ping) load = {.pings = pings + warmup, .ping_bytes = payload_bytes, .stream_bytes = {}, .stream_seconds = {}};
  if (bandwidth) {
    load.stream_bytes = stream_bytes;
    load.stream_seconds = stream_seconds;
  }
  return load;
}

nlohmann::json Settings::ToJson() const {
  nlohmann::json json = {{"wait_mode", WaitModeName(wait_mode)}, {"mode", mode}};
  if (ping) json.update({{"pings", pings}, {"warmup", warmup}, {"payload_bytes", payload_bytes}});
  if (bandwidth && stream_bytes) json["stream_bytes"] = *stream_bytes;
  if (bandwidth && stream_seconds) json["stream_s"] = *stream_seconds;
  return json;
}

void Runner::SetStream(std::optional<uint64_t> bytes, std::optional<double> seconds) {
  settings_.stream_bytes = bytes;
  settings_.stream_seconds = seconds;
}

absl::StatusOr<v1::NodeDescription> Runner::Ask(const Node& node, const std::stop_token& stop) const {
  const MonotonicTime deadline = MonotonicNow() + settings_.timeout;
  ASSIGN_OR_RETURN(auto session, OrderSession::Open({node.address, node.port, {}, settings_.token}, deadline, stop));
  return session.Describe(deadline, stop);
}

void Runner::AskAll(const std::stop_token& stop) {
  std::vector<std::jthread> threads;
  for (Node& node : nodes_) {
    if (node.address.empty()) continue;
    threads.emplace_back([this, &node, &stop] {
      auto description = Ask(node, stop);
      node.alive = description.ok();
      node.reason = std::string(description.status().message());
      if (description.ok()) node.description = *std::move(description);
    });
  }
}

void Runner::Run(const std::vector<std::vector<Task>>& pairs, const std::stop_token& stop, const OnRow& on_row) {
  std::vector<std::jthread> threads;
  for (const std::vector<Task>& tasks : pairs)
    threads.emplace_back([this, &tasks, &stop, &on_row] { RunTasks(tasks, stop, on_row); });
}

MeasureTarget Runner::TargetAt(const Node& node, const std::string& transport) const {
  MeasureTarget target;
  target.host = node.address;
  target.port = node.port;
  target.transport = transport;
  target.wait_mode = settings_.wait_mode;
  target.options.set_mode(settings_.mode);
  return target;
}

PingRequest Runner::PingTo(const Node& node, const std::string& transport) const {
  PingRequest ping{.target = TargetAt(node, transport), .bounds = {.iterations = settings_.pings, .duration = {}}};
  ping.payload_bytes = settings_.payload_bytes;
  ping.warmup = settings_.warmup;
  ping.timeout = std::min(settings_.timeout, deadlines::kMatrixPing());
  return ping;
}

BandwidthRequest Runner::StreamTo(const Node& node, const std::string& transport) const {
  BandwidthRequest stream{.target = TargetAt(node, transport), .bounds = {}};
  if (settings_.stream_bytes) {
    stream.bounds.iterations = 1;
    stream.payload_bytes = *settings_.stream_bytes;
  }
  if (settings_.stream_seconds) {
    stream.bounds.duration = Seconds(*settings_.stream_seconds);
    stream.window = std::min<std::chrono::nanoseconds>(stream.window, *stream.bounds.duration / 4);
  }
  return stream;
}

bool Runner::Alive(Pair pair) {
  std::lock_guard lock(mutex_);
  return nodes_[static_cast<size_t>(pair.a)].alive && nodes_[static_cast<size_t>(pair.b)].alive;
}

void Runner::LookWhoIsDead(Pair pair, const std::stop_token& stop) {
  std::vector<std::jthread> threads;
  for (int end : {pair.a, pair.b})
    threads.emplace_back([this, end, &stop] {
      Node& node = nodes_[static_cast<size_t>(end)];
      absl::Status status;
      for (int attempt = 0; attempt < 2; ++attempt) {
        status = Ask(node, stop).status();
        // A node that refuses us is there.
        if (stop.stop_requested() || !(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status))) return;
      }
      std::lock_guard lock(mutex_);
      if (!node.alive) return;
      node.alive = false;
      node.reason = absl::StrCat("died in mid-run: ", status.message());
    });
}

template <typename Measure>
auto Runner::UnlessDead(Pair pair, double planned_seconds, const std::stop_token& stop, Measure measure) {
  std::stop_source given_up;
  std::stop_callback forward(stop, [&given_up] { given_up.request_stop(); });
  std::jthread watch([&](const std::stop_token& over) {
    if (SleepUnlessStopped(over, Seconds(planned_seconds) + kLate)) return;
    LookWhoIsDead(pair, over);
    if (!over.stop_requested() && !Alive(pair)) given_up.request_stop();
  });
  return measure(given_up.get_token());
}

// One task, while it runs.
class Runner::TaskRun {
 public:
  TaskRun(Runner* runner, const Task& task, const std::stop_token& stop, const OnRow& on_row)
      : runner_(*runner),
        settings_(runner->settings_),
        task_(task),
        stop_(stop),
        on_row_(on_row),
        a_(runner->nodes_[static_cast<size_t>(task.pair.a)]),
        b_(runner->nodes_[static_cast<size_t>(task.pair.b)]) {}

  // What is left after a failure is not tried: it would only cost more timeouts.
  void Run() {
    if (task_.ping && !Ping()) return;
    // Each way by the node that sends: when its peer dies, it lets go of its port as soon as it is told to.
    if (task_.stream_to_b && !Stream(a_, b_)) return;
    if (task_.stream_to_a) Stream(b_, a_);
  }

 private:
  bool Ping();
  bool Stream(const Node& from, const Node& to);

  // Has a node measure, over a session of its own, and again while its port is busy.
  template <typename Measure>
  auto Order(const Node& node, double planned_seconds, Measure measure);
  // Whether it is a failure; looks who is dead when that may be why.
  bool Failed(const absl::Status& status);
  bool IsTold() const { return !stop_.stop_requested() && runner_.Alive(task_.pair); }
  void Tell(const Node& from, const Node& to, nlohmann::json row);
  // A node gives up by itself, with its own reason: that is waited for.
  MonotonicTime AnswerWithin(std::chrono::nanoseconds allowed) const {
    return runner_.In(settings_.timeout + deadlines::kConnect() + allowed);
  }

  Runner& runner_;
  const Settings& settings_;
  const Task& task_;
  const std::stop_token& stop_;
  const OnRow& on_row_;
  const Node& a_;
  const Node& b_;
};

template <typename Measure>
auto Runner::TaskRun::Order(const Node& node, double planned_seconds, Measure measure) {
  using Result = decltype(measure(std::declval<OrderSession&>(), stop_));
  absl::Status runs = Runs(a_, task_.transport);
  if (runs.ok()) runs = Runs(b_, task_.transport);
  return WhenFree(runner_.In(deadlines::kMatrixPortBusy()), stop_, [&]() -> Result {
    if (!runs.ok()) return runs;
    auto session =
        OrderSession::Open({node.address, node.port, {}, settings_.token}, runner_.In(settings_.timeout), stop_);
    if (!session.ok()) return session.status();
    return runner_.UnlessDead(task_.pair, planned_seconds, stop_,
                              [&](const std::stop_token& token) { return measure(*session, token); });
  });
}

bool Runner::TaskRun::Failed(const absl::Status& status) {
  if (status.ok()) return false;
  if (!stop_.stop_requested() && MayBeTheNetwork(status.code()) && !runner_.Late() && runner_.Alive(task_.pair))
    runner_.LookWhoIsDead(task_.pair, stop_);
  return true;
}

void Runner::TaskRun::Tell(const Node& from, const Node& to, nlohmann::json row) {
  row["source"] = from.name;
  row["target"] = to.name;
  row["repeat"] = task_.repeat;
  std::lock_guard lock(runner_.mutex_);
  on_row_(std::move(row));
}

bool Runner::TaskRun::Ping() {
  // By name, whatever the order of the list: two runs can then be compared pair by pair.
  const Node &pinger = a_.name <= b_.name ? a_ : b_, &pinged = a_.name <= b_.name ? b_ : a_;
  PingRequest ping = runner_.PingTo(pinged, task_.transport);
  bool late = false;
  const auto pings = static_cast<double>(settings_.pings + settings_.warmup);
  const auto allowed = Seconds(kSlowestPingSeconds * pings * TimeScale());
  auto result = Order(pinger, PingSeconds(settings_.load()), [&](OrderSession& session, const std::stop_token& token) {
    auto figures = session.Ping(ping, AnswerWithin(allowed), token);
    late = absl::IsDeadlineExceeded(figures.status()) && session.broken();
    return figures;
  });
  if (late && !runner_.Late() && IsTold()) {
    ping.bounds = {.iterations = {}, .duration = kSlowPairTime};
    ping.warmup = 1;
    const auto most = kSlowPairTime + 2 * ping.timeout;  // with a ping that is lost at either end
    result = Order(pinger, std::chrono::duration<double>(most).count(),
                   [&](OrderSession& session, const std::stop_token& token) {
                     return session.Ping(ping, AnswerWithin(most), token);
                   });
  }
  if (Failed(result.status())) {
    if (IsTold()) Tell(pinger, pinged, PingFailureRow(ping, result.status()));
    return false;
  }
  Tell(pinger, pinged, PingRow(ping, *result));
  return true;
}

bool Runner::TaskRun::Stream(const Node& from, const Node& to) {
  const BandwidthRequest stream = runner_.StreamTo(to, task_.transport);
  std::chrono::nanoseconds allowed = deadlines::kMatrixDrain() + Seconds(settings_.stream_seconds.value_or(0));
  if (settings_.stream_bytes)
    allowed = Seconds(static_cast<double>(*settings_.stream_bytes) * 8 / (kSlowestGbps * 1e9) * TimeScale());
  auto measure = [&] {
    return Order(from, StreamSeconds(settings_.load(), {}), [&](OrderSession& session, const std::stop_token& token) {
      return session.Bandwidth(stream, AnswerWithin(allowed), token);
    });
  };
  auto result = measure();
  // A host may have stood still for all of so short a stream, and nothing of it arrived: once more.
  if (absl::IsDataLoss(result.status()) && !runner_.Late() && IsTold()) result = measure();
  if (Failed(result.status())) {
    if (IsTold()) Tell(from, to, BandwidthFailureRow(stream, result.status()));
    return false;
  }
  Tell(from, to, BandwidthRow(stream, *result));
  return true;
}

void Runner::RunTasks(const std::vector<Task>& tasks, const std::stop_token& stop, const OnRow& on_row) {
  for (const Task& task : tasks) {
    if (stop.stop_requested() || Late() || !Alive(task.pair)) return;
    TaskRun(this, task, stop, on_row).Run();
  }
}

}  // namespace netsense::matrix
