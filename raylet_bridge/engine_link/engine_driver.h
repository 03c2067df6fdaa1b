// Keeps the engine on a socket working on the newest plan, and holds its newest results.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/clock.h"
#include "netsense/engine.pb.h"
#include "raylet_bridge/engine_link/engine_client.h"
#include "raylet_bridge/records/report.h"

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

  // What was known at one moment. What may be large is shared with everybody who asks, and never changes: it costs as
  // little for ten thousand paths as for one.
  struct State {
    std::shared_ptr<const v1::Plan> plan = std::make_shared<v1::Plan>();  // as set; plan_id empty = none yet
    std::shared_ptr<const PathReadings> readings = std::make_shared<PathReadings>();  // of its paths
    std::shared_ptr<const v1::EngineInfo> info{};                                     // null = no engine
    std::string problem{};                  // why the readings mean nothing now, in words; empty = they are good
    std::optional<int64_t> heard_age_ms{};  // since the engine said anything; nothing = never
    // What it said last of itself as a whole: counters and totals, without paths; null = nothing yet.
    std::shared_ptr<const v1::Snapshot> whole{};
  };
  State state() const;

 private:
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
  State state_{.problem = "no engine was found yet"};  // but heard_age_ms
  std::unordered_map<std::string, size_t> places_;     // path id -> place in the plan
  std::optional<MonotonicTime> heard_;
  bool watch_ended_ = false;
  std::jthread thread_;
};

}  // namespace netsense
