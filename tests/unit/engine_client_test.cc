#include "raylet_bridge/engine_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

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

TEST(EngineClient, BearsWithAnEngineThatTriesItsTransportsFirst) {
  ScratchFolder folder;
  const std::string path = folder.At("engine.sock");
  SlowEngine engine;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(&engine);
  auto server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  auto client = EngineClient::Connect(path);
  ASSERT_TRUE(client.ok()) << client.status();
  auto info = (*client)->GetInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->software_version(), "slow");
}

}  // namespace
}  // namespace netsense
