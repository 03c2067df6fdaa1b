// Has pairs of nodes measured: the coordinator sends no probe itself, it gives orders (engine/orders/session.h).
#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/plain_transport.h"
#include "base/token_ring.h"
#include "bench/matrix/nodes.h"
#include "bench/matrix/plan.h"
#include "engine/measure.h"
#include "engine/orders/session.h"

namespace netsense::matrix {

struct Settings {
  std::vector<std::string> transports = {kPlainTransport};
  bool ping = true;
  bool bandwidth = true;
  uint32_t payload_bytes = 64;
  uint64_t pings = 200;
  uint64_t warmup = 20;
  // Of one stream; one of them is set before the rounds begin.
  std::optional<uint64_t> stream_bytes;
  std::optional<double> stream_seconds;
  v1::WaitMode wait_mode = v1::WAIT_MODE_BLOCK;
  std::string mode;                         // of the transport; empty = its own choice
  std::chrono::milliseconds timeout{2000};  // for a node to answer, and what an order may be late
  TokenRing token;

  Load load() const;
  // What makes rows of two runs comparable; nodes and transports may differ.
  nlohmann::json ToJson() const;
};

// A node that dies is marked in `nodes`, and no later pair of it is tried. Not thread-safe; runs threads of its own,
// one for each pair that is being measured.
class Runner {
 public:
  // On any thread, one at a time.
  using OnRow = std::function<void(nlohmann::json)>;

  Runner(Settings settings, std::vector<Node>* nodes) : settings_(std::move(settings)), nodes_(*nodes) {}

  // Asks all nodes at once who they are: those that do not answer cost one timeout together.
  void AskAll(const std::stop_token& stop);
  void SetStream(std::optional<uint64_t> bytes, std::optional<double> seconds);
  // Nothing is waited for beyond it: what is not answered then has failed, and what has not begun is not tried.
  void SetDeadline(MonotonicTime deadline) { deadline_ = deadline; }
  bool Late() const { return MonotonicNow() >= deadline_; }

  // Wanted of a pair over one transport.
  struct Task {
    Pair pair;
    std::string transport;
    bool ping = true;
    bool stream_to_b = true;
    bool stream_to_a = true;
    uint32_t repeat = 1;
  };
  // The tasks of each pair one after another, all pairs at once: the caller sees to it that no node is in two. A task
  // ends with its first failure, which is a row too, but for one that a stop or a dead node explains.
  void Run(const std::vector<std::vector<Task>>& pairs, const std::stop_token& stop, const OnRow& on_row);

  const Settings& settings() const { return settings_; }

 private:
  class TaskRun;

  absl::StatusOr<v1::NodeDescription> Ask(const Node& node, const std::stop_token& stop) const;
  void RunTasks(const std::vector<Task>& tasks, const std::stop_token& stop, const OnRow& on_row);
  bool Alive(Pair pair);
  // Asks both ends at once, and those that do not answer once more; marks who is silent then too.
  void LookWhoIsDead(Pair pair, const std::stop_token& stop);
  // Gives the measurement up when it is late and one of the two nodes is dead: such a node costs two timeouts.
  template <typename Measure>
  auto UnlessDead(Pair pair, double planned_seconds, const std::stop_token& stop, Measure measure);
  MonotonicTime In(std::chrono::nanoseconds time) const { return std::min(MonotonicNow() + time, deadline_); }
  MeasureTarget TargetAt(const Node& node, const std::string& transport) const;
  PingRequest PingTo(const Node& node, const std::string& transport) const;
  BandwidthRequest StreamTo(const Node& node, const std::string& transport) const;

  Settings settings_;
  MonotonicTime deadline_ = MonotonicTime::max();
  std::vector<Node>& nodes_;
  std::mutex mutex_;  // of nodes_ and on_row while pairs are measured
};

}  // namespace netsense::matrix
