#include "raylet_bridge/engine_link/engine_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/deadlines.h"
#include "netsense/engine.grpc.pb.h"
#include "tests/unit/scratch_folder.h"

namespace netsense {
namespace {

// An engine that notes for how long it is waited for, and answers at once or never.
class TimedEngine final : public v1::EngineControl::Service {
 public:
  grpc::Status GetInfo(grpc::ServerContext* context, const v1::GetInfoRequest*, v1::EngineInfo* reply) override {
    waited_for_ = context->deadline() - std::chrono::system_clock::now();
    while (silent_ && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    reply->set_software_version("timed");
    return grpc::Status::OK;
  }
  grpc::Status RenewLease(grpc::ServerContext* context, const v1::RenewLeaseRequest*, v1::RenewLeaseReply*) override {
    waited_for_ = context->deadline() - std::chrono::system_clock::now();
    return grpc::Status::OK;
  }

  std::atomic<bool> silent_ = false;
  std::atomic<std::chrono::system_clock::duration> waited_for_{};
};

class EngineClientTest : public testing::Test {
 protected:
  EngineClientTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + path_, grpc::InsecureServerCredentials());
    builder.RegisterService(&engine_);
    server_ = builder.BuildAndStart();
  }

  const ScratchFolder folder_;
  const std::string path_ = folder_.At("engine.sock");
  TimedEngine engine_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(EngineClientTest, BearsWithAnEngineThatTriesItsTransportsFirst) {
  auto client = EngineClient::Connect(path_);
  ASSERT_TRUE(client.ok()) << client.status();
  auto info = (*client)->GetInfo({});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->software_version(), "timed");
  // It loads libraries and starts a process before it can say what it has.
  EXPECT_GT(engine_.waited_for_.load(), 3 * deadlines::kEngineAnswer());
  EXPECT_LT(engine_.waited_for_.load(), 2 * deadlines::kEngineFirstAnswer());
  ASSERT_TRUE((*client)->RenewLease("plan", 1000).ok());
  EXPECT_LT(engine_.waited_for_.load(), 2 * deadlines::kEngineAnswer()) << "for nothing else";
}

TEST_F(EngineClientTest, DoesNotBearWithItWhenItIsToldToStop) {
  auto client = EngineClient::Connect(path_);
  ASSERT_TRUE(client.ok()) << client.status();
  engine_.silent_ = true;
  std::stop_source stop;
  stop.request_stop();
  auto info = (*client)->GetInfo(stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(info.status())) << "not before its time was up: " << info.status();
}

}  // namespace
}  // namespace netsense
