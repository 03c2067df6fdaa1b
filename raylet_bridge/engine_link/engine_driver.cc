#include "raylet_bridge/engine_link/engine_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectAgain{100};
constexpr milliseconds kRenewAtLeast{1000};

v1::PathResult Aged(v1::PathResult result, int64_t ms) {
  result.set_state_age_ms(result.state_age_ms() + ms);
  if (result.last_ok_age_ms() >= 0) result.set_last_ok_age_ms(result.last_ok_age_ms() + ms);
  for (v1::Window* window : {result.mutable_rtt(), result.mutable_network_rtt(), result.mutable_bandwidth()})
    window->set_age_ms(window->age_ms() + ms);
  return result;
}

}  // namespace

EngineDriver::EngineDriver(std::string socket_path, std::function<void()> on_news)
    : socket_path_(std::move(socket_path)),
      on_news_(std::move(on_news)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

EngineDriver::~EngineDriver() = default;

void EngineDriver::SetPlan(v1::Plan plan) {
  std::lock_guard lock(mutex_);
  if (plan.plan_id() == plan_.plan_id()) return;
  plan_ = std::move(plan);
  std::map<std::string, Known> kept;
  for (const v1::PlannedPath& path : plan_.paths())
    if (auto known = results_.find(path.path_id()); known != results_.end()) kept.insert(results_.extract(known));
  results_ = std::move(kept);
  wake_.notify_all();
}

EngineDriver::State EngineDriver::state() const {
  std::lock_guard lock(mutex_);
  MonotonicTime now = MonotonicNow();
  State state{plan_, info_, {}, problem_, std::nullopt, counters_, totals_};
  for (const auto& [id, known] : results_) state.results.emplace(id, Aged(known.result, MillisSince(known.at, now)));
  if (heard_) state.heard_age_ms = MillisSince(*heard_, now);
  if (state.problem.empty() && state.heard_age_ms.value_or(0) > deadlines::kEngineSilence().count())
    state.problem = fmt::format("the engine of this node has been silent for {} ms", *state.heard_age_ms);
  return state;
}

void EngineDriver::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto client = EngineClient::Connect(socket_path_);
    Lose(client.ok() ? Drive(**client, stop) : client.status());
    SleepUnlessStopped(stop, kConnectAgain);
  }
}

absl::Status EngineDriver::Drive(EngineClient& client, std::stop_token stop) {
  auto info = client.GetInfo(stop);
  if (!info.ok()) return info.status();
  {
    std::lock_guard lock(mutex_);
    info_ = *info;
    heard_ = MonotonicNow();
    problem_.clear();
    watch_ended_ = false;
  }
  spdlog::info("driving engine {} (pid {}) on {}", Printable(info->software_version()), info->pid(), socket_path_);
  on_news_();
  std::jthread watcher([this, &client](std::stop_token watch_stop) {
    auto ended = client.WatchResults(std::move(watch_stop), [this](const v1::Snapshot& snapshot) { Take(snapshot); });
    std::lock_guard lock(mutex_);
    watch_ended_ = true;
    wake_.notify_all();
  });

  std::string applied_id;
  while (true) {
    if (auto status = ApplyOrRenew(client, applied_id); !status.ok()) return status;
    std::unique_lock lock(mutex_);
    const auto pause = std::min(milliseconds(plan_.lease_ms()) / 3, kRenewAtLeast);
    const auto changed = [&] { return watch_ended_ || plan_.plan_id() != applied_id; };
    wake_.wait_for(lock, stop, plan_.plan_id().empty() ? kRenewAtLeast : pause, changed);
    if (stop.stop_requested()) return absl::CancelledError("the bridge stops");
    if (watch_ended_) return absl::UnavailableError("the engine of this node ended");
  }
}

absl::Status EngineDriver::ApplyOrRenew(EngineClient& client, std::string& applied_id) {
  v1::Plan plan;
  {
    std::lock_guard lock(mutex_);
    plan = plan_;
  }
  if (plan.plan_id().empty()) return absl::OkStatus();
  if (plan.plan_id() == applied_id) {
    auto renewed = client.RenewLease(plan.plan_id(), plan.lease_ms());
    if (!absl::IsNotFound(renewed)) return renewed;
  }
  auto reply = client.ApplyPlan(plan);
  if (!reply.ok()) return reply.status();
  spdlog::info("plan {} with {} paths is in force", plan.plan_id(), plan.paths_size());
  for (const std::string& wish : reply->clamped()) spdlog::warn("the engine limits the plan: {}", Printable(wish));
  applied_id = plan.plan_id();
  return absl::OkStatus();
}

void EngineDriver::Take(const v1::Snapshot& snapshot) {
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    MonotonicTime now = MonotonicNow();
    heard_ = now;
    counters_ = snapshot.counters();
    totals_.assign(snapshot.totals().begin(), snapshot.totals().end());
    const auto planned = [this](const std::string& id) {
      return std::any_of(plan_.paths().begin(), plan_.paths().end(),
                         [&](const auto& path) { return path.path_id() == id; });
    };
    for (const v1::PathResult& result : snapshot.paths()) {
      auto known = results_.find(result.path_id());
      if (known == results_.end()) {
        if (!planned(result.path_id())) continue;
        known = results_.emplace(result.path_id(), Known{}).first;
      }
      news = news || known->second.result.state() != result.state();
      known->second = {result, now};
    }
  }
  if (news) on_news_();
}

void EngineDriver::Lose(const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    bool lost = info_.has_value();
    info_.reset();
    results_.clear();
    counters_.reset();
    totals_.clear();
    if (std::string(why.message()) != problem_) {
      problem_ = std::string(why.message());
      if (!absl::IsCancelled(why)) spdlog::log(lost ? spdlog::level::warn : spdlog::level::info, Printable(problem_));
    }
    if (!lost) return;
  }
  on_news_();
}

}  // namespace netsense
