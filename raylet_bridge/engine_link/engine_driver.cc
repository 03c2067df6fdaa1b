#include "raylet_bridge/engine_link/engine_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectAgain{100};
constexpr milliseconds kRenewAtLeast{1000};

}  // namespace

EngineDriver::EngineDriver(std::string socket_path, std::function<void()> on_news)
    : socket_path_(std::move(socket_path)),
      on_news_(std::move(on_news)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

EngineDriver::~EngineDriver() = default;

void EngineDriver::SetPlan(v1::Plan plan) {
  std::lock_guard lock(mutex_);
  if (plan.plan_id() == state_.plan->plan_id()) return;
  std::unordered_map<std::string, size_t> places;
  auto kept = std::make_shared<PathReadings>();
  for (const v1::PlannedPath& path : plan.paths()) {
    auto before = places_.find(path.path_id());
    places.emplace(path.path_id(), kept->size());
    kept->push_back(before == places_.end() ? nullptr : state_.readings->at(before->second));
  }
  places_ = std::move(places);
  state_.plan = std::make_shared<const v1::Plan>(std::move(plan));
  state_.readings = std::move(kept);
  wake_.notify_all();
}

EngineDriver::State EngineDriver::state() const {
  std::lock_guard lock(mutex_);
  State state = state_;
  if (heard_) state.heard_age_ms = MillisSince(*heard_);
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
  ASSIGN_OR_RETURN(auto info, client.GetInfo(stop));
  {
    std::lock_guard lock(mutex_);
    state_.info = std::make_shared<const v1::EngineInfo>(info);
    heard_ = MonotonicNow();
    state_.problem.clear();
    watch_ended_ = false;
  }
  spdlog::info("driving engine {} (pid {}) on {}", Printable(info.software_version()), info.pid(), socket_path_);
  on_news_();
  std::jthread watcher([this, &client](std::stop_token watch_stop) {
    auto ended = client.WatchResults(std::move(watch_stop), [this](const v1::Snapshot& snapshot) { Take(snapshot); });
    std::lock_guard lock(mutex_);
    watch_ended_ = true;
    wake_.notify_all();
  });

  std::string applied_id;
  while (true) {
    RETURN_IF_ERROR(ApplyOrRenew(client, applied_id));
    std::unique_lock lock(mutex_);
    const auto pause = std::min(milliseconds(state_.plan->lease_ms()) / 3, kRenewAtLeast);
    const auto changed = [&] { return watch_ended_ || state_.plan->plan_id() != applied_id; };
    wake_.wait_for(lock, stop, state_.plan->plan_id().empty() ? kRenewAtLeast : pause, changed);
    if (stop.stop_requested()) return absl::CancelledError("the bridge stops");
    if (watch_ended_) return absl::UnavailableError("the engine of this node ended");
  }
}

absl::Status EngineDriver::ApplyOrRenew(EngineClient& client, std::string& applied_id) {
  const std::shared_ptr<const v1::Plan> newest = state().plan;
  const v1::Plan& plan = *newest;
  if (plan.plan_id().empty()) return absl::OkStatus();
  if (plan.plan_id() == applied_id) {
    auto renewed = client.RenewLease(plan.plan_id(), plan.lease_ms());
    if (!absl::IsNotFound(renewed)) return renewed;
  }
  ASSIGN_OR_RETURN(auto reply, client.ApplyPlan(plan));
  spdlog::info("plan {} with {} paths is in force", plan.plan_id(), plan.paths_size());
  for (const std::string& wish : reply.clamped()) spdlog::warn("the engine limits the plan: {}", Printable(wish));
  applied_id = plan.plan_id();
  return absl::OkStatus();
}

void EngineDriver::Take(const v1::Snapshot& snapshot) {
  bool news = false;
  auto whole = std::make_shared<v1::Snapshot>();
  *whole->mutable_counters() = snapshot.counters();
  *whole->mutable_totals() = snapshot.totals();
  {
    std::lock_guard lock(mutex_);
    const MonotonicTime now = MonotonicNow();
    heard_ = now;
    state_.whole = std::move(whole);
    if (snapshot.paths().empty()) return;
    auto readings = std::make_shared<PathReadings>(*state_.readings);
    for (const v1::PathResult& result : snapshot.paths()) {
      auto place = places_.find(result.path_id());
      if (place == places_.end()) continue;
      auto& reading = (*readings)[place->second];
      const auto before = reading == nullptr ? v1::PATH_STATE_UNKNOWN : reading->result.state();
      news = news || before != result.state();
      reading = std::make_shared<const PathReading>(PathReading{result, now});
    }
    state_.readings = std::move(readings);
  }
  if (news) on_news_();
}

void EngineDriver::Lose(const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    bool lost = state_.info != nullptr;
    state_.info.reset();
    state_.readings = std::make_shared<PathReadings>(state_.readings->size());
    state_.whole.reset();
    if (std::string(why.message()) != state_.problem) {
      state_.problem = std::string(why.message());
      if (!absl::IsCancelled(why))
        spdlog::log(lost ? spdlog::level::warn : spdlog::level::info, Printable(state_.problem));
    }
    if (!lost) return;
  }
  on_news_();
}

}  // namespace netsense
