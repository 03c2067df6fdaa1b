#include "raylet_bridge/engine_link/engine_driver.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "netsense/engine.grpc.pb.h"
#include "tests/unit/allocations.h"
#include "tests/unit/scratch_folder.h"

namespace netsense {
namespace {

// An engine that says what it is told to say.
class ToldEngine final : public v1::EngineControl::Service {
 public:
  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::EngineInfo*) override { return {}; }
  grpc::Status ApplyPlan(grpc::ServerContext*, const v1::ApplyPlanRequest*, v1::ApplyPlanReply*) override { return {}; }
  grpc::Status RenewLease(grpc::ServerContext*, const v1::RenewLeaseRequest*, v1::RenewLeaseReply*) override {
    return {};
  }
  grpc::Status WatchResults(grpc::ServerContext* context, const v1::WatchResultsRequest*,
                            grpc::ServerWriter<v1::Snapshot>* writer) override {
    while (!context->IsCancelled()) {
      std::unique_lock lock(mutex_);
      if (!told_.wait_for(lock, std::chrono::milliseconds(1), [this] { return next_ != nullptr; })) continue;
      writer->Write(*next_);
      next_.reset();
    }
    return {};
  }

  void Say(v1::Snapshot snapshot) {
    std::lock_guard lock(mutex_);
    next_ = std::make_unique<v1::Snapshot>(std::move(snapshot));
    told_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::unique_ptr<v1::Snapshot> next_;
};

std::string PathId(int i) { return absl::StrCat("a path with an id of some length, as they are: ", i); }

v1::Plan PlanOf(int paths, const std::string& id = "plan") {
  v1::Plan plan;
  plan.set_plan_id(id);
  plan.set_lease_ms(60'000);
  for (int i = 0; i < paths; ++i) plan.add_paths()->set_path_id(PathId(i));
  return plan;
}

class EngineDriverTest : public testing::Test {
 protected:
  EngineDriverTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + path_, grpc::InsecureServerCredentials());
    builder.RegisterService(&engine_);
    server_ = builder.BuildAndStart();
    driver_ = std::make_unique<EngineDriver>(path_, [this] {
      std::lock_guard lock(mutex_);
      ++news_;
      heard_.notify_all();
    });
    WaitForNews(1);  // an engine was found
  }
  ~EngineDriverTest() override { driver_.reset(); }

  void WaitForNews(int number) {
    std::unique_lock lock(mutex_);
    heard_.wait(lock, [&] { return news_ >= number; });
    news_ = 0;
  }

  // The engine says that `paths` of the plan's are in this state now.
  void Hear(int paths, v1::PathState state) {
    v1::Snapshot snapshot;
    for (int i = 0; i < paths; ++i) {
      v1::PathResult* result = snapshot.add_paths();
      result->set_path_id(PathId(i));
      result->set_state(state);
      result->set_reason("a reason of some words, as there are many in a cluster that is not well");
      result->mutable_rtt_histogram()->mutable_buckets()->Resize(40, 1);
    }
    engine_.Say(std::move(snapshot));
    WaitForNews(1);
  }

  const ScratchFolder folder_;
  const std::string path_ = folder_.At("engine.sock");
  ToldEngine engine_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable heard_;
  int news_ = 0;
  std::unique_ptr<EngineDriver> driver_;
};

// Once each request, /healthz too, copied and aged them all.
TEST_F(EngineDriverTest, WhoAsksForTheStateCopiesNoResult) {
  auto bytes_with = [this](int paths) {
    driver_->SetPlan(PlanOf(paths, absl::StrCat("plan of ", paths)));
    Hear(paths, paths % 2 == 0 ? v1::PATH_STATE_OK : v1::PATH_STATE_DEGRADED);
    EXPECT_EQ(driver_->state().readings->size(), static_cast<size_t>(paths));
    EXPECT_NE(driver_->state().readings->back(), nullptr);
    return AllocationsOf([this] { (void)driver_->state(); }).all;
  };
  const size_t of_one = bytes_with(1);
  EXPECT_LE(of_one, 1024u);
  EXPECT_EQ(bytes_with(2000), of_one);
}

TEST_F(EngineDriverTest, WhatIsNewIsPutBesideWhatWasKnownAndChangesNoEarlierState) {
  driver_->SetPlan(PlanOf(3));
  Hear(3, v1::PATH_STATE_OK);
  const EngineDriver::State before = driver_->state();
  Hear(1, v1::PATH_STATE_DEGRADED);
  const EngineDriver::State after = driver_->state();
  EXPECT_EQ((*before.readings)[0]->result.state(), v1::PATH_STATE_OK);
  EXPECT_EQ((*after.readings)[0]->result.state(), v1::PATH_STATE_DEGRADED);
  for (size_t i : {1, 2}) EXPECT_EQ((*after.readings)[i], (*before.readings)[i]) << "the same one, and no copy";
}

TEST_F(EngineDriverTest, APathThatStaysInThePlanKeepsWhatIsKnownOfIt) {
  driver_->SetPlan(PlanOf(3));
  Hear(3, v1::PATH_STATE_OK);
  v1::Plan next;
  next.set_plan_id("next");
  for (int i : {2, 7}) next.add_paths()->set_path_id(PathId(i));
  const auto kept = (*driver_->state().readings)[2];
  driver_->SetPlan(next);
  const EngineDriver::State state = driver_->state();
  ASSERT_EQ(state.readings->size(), 2u);
  EXPECT_EQ((*state.readings)[0], kept);
  EXPECT_EQ((*state.readings)[1], nullptr);
}

}  // namespace
}  // namespace netsense
