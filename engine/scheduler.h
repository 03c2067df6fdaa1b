// Runs a plan: each path's pings at their interval, its bandwidth probes in their slots, until the lease ends.
//
// No path is late because another one's peer is dead: a probe occupies one of the plan's concurrent places only while
// it is young (20 ms); one that waits longer waits on, but lends its place, and paths that answered last time go before
// those that did not.
//
// Thread-safe. Results are read at any time by Collect.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "engine/named_addresses.h"
#include "engine/path_record.h"
#include "engine/prober.h"
#include "engine/worker_pool.h"
#include "netsense/engine.pb.h"

namespace netsense {

class Scheduler {
 public:
  // `context` outlives the scheduler.
  explicit Scheduler(const ProbeContext* context);
  ~Scheduler();

  // Replaces the plan (already clamped) and starts its lease. Paths that stay keep sessions and statistics.
  void Apply(const v1::Plan& plan);
  // False when another plan, or none, is in force.
  bool Renew(const std::string& plan_id, std::chrono::milliseconds lease);

  struct Lease {
    std::string plan_id;
    bool in_force = false;
    int64_t left_ms = 0;
    uint64_t expired = 0;  // how many leases have run out so far
    std::optional<MonotonicTime>
        since;  // when the last one ended, or the scheduler started; empty while one is in force
  };
  Lease lease() const;

  struct Results {
    std::vector<v1::PathResult> paths;
    std::vector<v1::PathTotals> totals;  // since the scheduler started, of every kind of path that there ever was
    uint64_t version = 0;                // pass it as `after` next time
  };
  // Every path that was measured after version `after` (0: every path of the plan).
  Results Collect(uint64_t after) const;
  // Blocks until there is something after `after`, at most `timeout`, or until `stop`.
  void WaitForNews(uint64_t after, std::chrono::milliseconds timeout, std::stop_token stop) const;

  // Worst start of a ping behind its due time, since the plan was applied.
  uint64_t max_ping_lateness_ms() const;

 private:
  struct Path;
  using PathPtr = std::shared_ptr<Path>;

  void Loop();
  // All with mutex_ held.
  bool MayBeDialled(Path& path, MonotonicTime now);
  MonotonicTime StartDuePings(MonotonicTime now);
  MonotonicTime StartDueStreams(MonotonicTime now);
  void StartPing(const PathPtr& path, MonotonicTime now);
  void StartStream(const PathPtr& path, int64_t slot_index);
  void EndStream(Path& path, int64_t slot_index, BandwidthOutcome outcome, const std::string& black_hole);
  void EndLease(MonotonicTime now);
  void Touch(Path& path);

  const ProbeContext* const context_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any news_;
  std::condition_variable_any wake_;
  v1::Plan plan_;  // without its paths
  std::map<PathKind, PathTotals> totals_;
  std::map<std::string, PathPtr> paths_;
  NamedAddresses named_;
  bool lease_in_force_ = false;
  MonotonicTime lease_end_{};
  MonotonicTime no_lease_since_;
  uint64_t leases_expired_ = 0;
  std::stop_source probes_stop_;  // of the lease in force
  uint64_t version_ = 0;
  uint32_t streams_running_ = 0;
  int64_t max_lateness_ms_ = 0;
  bool quit_ = false;
  WorkerPool workers_;  // its tasks use everything above
  std::thread thread_;
};

}  // namespace netsense
