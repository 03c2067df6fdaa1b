// Keeps the engine on a socket working on the newest plan, and holds its newest results.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "netsense/engine.pb.h"
#include "raylet_bridge/engine_link/engine_client.h"

namespace netsense {

// Applies a plan when it is new to the engine, else renews its lease three times per lease and at least each second.
// After the connection was lost (the engine was restarted) it connects every 100 ms, and applies the plan again.
// Thread-safe.
class EngineDriver {
 public:
  // `on_news` is called, on the driver's threads, when a path's state has changed, or an engine was found or lost. It
  // must not call back into the driver.
  EngineDriver(std::string socket_path, std::function<void()> on_news);
  ~EngineDriver();
  EngineDriver(const EngineDriver&) = delete;
  EngineDriver& operator=(const EngineDriver&) = delete;

  void SetPlan(v1::Plan plan);
  // Begins to stop, without waiting: the end of the engine is no news from then on. The destructor waits.
  void RequestStop() { thread_.request_stop(); }

  struct State {
    v1::Plan plan;                                  // as set; plan_id empty = none yet
    std::optional<v1::EngineInfo> info;             // nothing = no engine
    std::map<std::string, v1::PathResult> results;  // by path id; ages as of now
    std::string problem;                            // why the results mean nothing now, in words; empty = they are good
    std::optional<int64_t> heard_age_ms;            // since the engine said anything; nothing = never
    // Of the engine as a whole, as it said last.
    std::optional<v1::EngineCounters> counters;
    std::vector<v1::PathTotals> totals;
  };
  State state() const;

 private:
  struct Known {
    v1::PathResult result;
    MonotonicTime at{};
  };

  void Run(std::stop_token stop);
  // Works with one connection until it is lost.
  absl::Status Drive(EngineClient& client, std::stop_token stop);
  absl::Status ApplyOrRenew(EngineClient& client, std::string& applied_id);
  void Take(const v1::Snapshot& snapshot);
  void Lose(const absl::Status& why);

  const std::string socket_path_;
  const std::function<void()> on_news_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  v1::Plan plan_;
  std::optional<v1::EngineInfo> info_;
  std::map<std::string, Known> results_;
  std::optional<v1::EngineCounters> counters_;
  std::vector<v1::PathTotals> totals_;
  std::string problem_ = "no engine was found yet";
  std::optional<MonotonicTime> heard_;
  bool watch_ended_ = false;
  std::jthread thread_;
};

}  // namespace netsense
