#include "raylet_bridge/engine_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "netsense/engine.grpc.pb.h"
#include "tests/unit/scratch_folder.h"

namespace netsense {
namespace {

// An engine that loads libraries and starts a process before it can say what it has.
class SlowEngine final : public v1::EngineControl::Service {
 public:
  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::EngineInfo* reply) override {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    reply->set_software_version("slow");
    return grpc::Status::OK;
  }
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
  SlowEngine engine_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(EngineClientTest, BearsWithAnEngineThatTriesItsTransportsFirst) {
  auto client = EngineClient::Connect(path_);
  ASSERT_TRUE(client.ok()) << client.status();
  auto info = (*client)->GetInfo({});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->software_version(), "slow");
}

TEST_F(EngineClientTest, DoesNotBearWithItWhenItIsToldToStop) {
  auto client = EngineClient::Connect(path_);
  ASSERT_TRUE(client.ok()) << client.status();
  std::stop_source stop;
  stop.request_stop();
  const MonotonicTime start = MonotonicNow();
  EXPECT_TRUE(absl::IsCancelled((*client)->GetInfo(stop.get_token()).status()));
  EXPECT_LT(MonotonicNow() - start, std::chrono::seconds(1));
}

}  // namespace
}  // namespace netsense
