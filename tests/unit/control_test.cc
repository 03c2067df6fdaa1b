// The control socket as a bridge sees it, and as a stranger does.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/deadlines.h"
#include "engine/control_server.h"
#include "netsense/engine.grpc.pb.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

class ControlTest : public testing::Test {
 protected:
  ControlTest()
      : directory(testing::TempDir() + "control." + std::to_string(getpid())), path(directory + "/engine.sock") {
    engine = *Engine::Start({});
    server = *ControlServer::Start(path, engine.get());
  }
  ~ControlTest() override {
    server.reset();
    std::filesystem::remove_all(directory);
  }

  UniqueFd Connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  std::unique_ptr<v1::EngineControl::Stub> Stub() const {
    UniqueFd fd = Connect();
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return v1::EngineControl::NewStub(grpc::CreateInsecureChannelFromFd("engine", fd.Release()));
  }
  v1::Plan SelfPlan() const {
    v1::Plan plan;
    plan.set_plan_id("p");
    plan.set_self_node_id("self");
    plan.set_lease_ms(5000);
    plan.set_rtt_window(5);
    plan.set_rtt_alpha(0.3);
    plan.set_bandwidth_window(3);
    plan.set_bandwidth_alpha(0.3);
    plan.set_ping_concurrency(2);
    plan.set_bandwidth_concurrency(1);
    v1::PlannedPath* self = plan.add_paths();
    self->set_path_id("self/tcp");
    self->set_transport("tcp");
    self->set_dst_node_id("self");
    self->set_dst_address("127.0.0.1");
    self->set_dst_port(engine->door_port());
    self->set_ping_interval_ms(1);  // beyond the limit
    self->set_ping_timeout_ms(500);
    return plan;
  }
  static bool Closes(int fd) {
    pollfd wait{fd, POLLIN, 0};
    char byte;
    return poll(&wait, 1, static_cast<int>(pace::Patience().count())) > 0 && recv(fd, &byte, 1, 0) <= 0;
  }

  std::string directory, path;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ControlServer> server;
};

TEST_F(ControlTest, DirectoryAndSocketAreOurs) {
  struct stat info {};
  ASSERT_EQ(stat(directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  auto second = ControlServer::Start(path, engine.get());
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_TRUE(AskInfo(path).ok()) << "the first one is unharmed";
}

TEST_F(ControlTest, RefusesADirectoryThatOthersMayEnter) {
  std::string open_directory = directory + "/open";
  std::filesystem::create_directory(open_directory);
  chmod(open_directory.c_str(), 0755);
  auto refused = ControlServer::Start(open_directory + "/s", engine.get()).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_THAT(std::string(refused.message()),
              testing::HasSubstr("chmod 700 " + open_directory + ", or give another --control-socket"));
  std::filesystem::create_directory_symlink(directory, directory + ".link");
  EXPECT_TRUE(absl::IsPermissionDenied(ControlServer::Start(directory + ".link/s", engine.get()).status()));
  std::filesystem::remove(directory + ".link");
  std::string long_path = directory + "/" + std::string(120, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(ControlServer::Start(long_path, engine.get()).status()));
}

TEST_F(ControlTest, TellsWhoItIs) {
  auto info = AskInfo(path);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->pid(), getpid());
  EXPECT_EQ(info->door_port(), engine->door_port());
  EXPECT_EQ(info->transports(0).name(), "tcp");
  EXPECT_TRUE(info->transports(0).available());
}

TEST_F(ControlTest, RunsAPlanAndStreamsResults) {
  auto stub = Stub();
  grpc::ClientContext apply_context, watch_context, renew_context, lost_context;
  v1::ApplyPlanRequest request;
  *request.mutable_plan() = SelfPlan();
  v1::ApplyPlanReply reply;
  ASSERT_TRUE(stub->ApplyPlan(&apply_context, request, &reply).ok());
  EXPECT_THAT(reply.clamped(), testing::ElementsAre("path self/tcp: ping_interval_ms 1 -> 100"));
  EXPECT_EQ(AskInfo(path)->node_id(), "self");

  watch_context.set_deadline(std::chrono::system_clock::now() + pace::Patience());
  auto reader = stub->WatchResults(&watch_context, {});
  v1::Snapshot snapshot;
  ASSERT_TRUE(reader->Read(&snapshot));
  EXPECT_EQ(snapshot.paths_size(), 1) << "the first message holds everything";
  while (snapshot.paths_size() == 0 || snapshot.paths(0).state() != v1::PATH_STATE_OK)
    ASSERT_TRUE(reader->Read(&snapshot));
  EXPECT_TRUE(snapshot.lease_in_force());
  EXPECT_EQ(snapshot.counters().clamped_wishes(), 1u);
  watch_context.TryCancel();

  v1::RenewLeaseRequest renew;
  renew.set_plan_id("p");
  renew.set_lease_ms(5000);
  v1::RenewLeaseReply renewed;
  EXPECT_TRUE(stub->RenewLease(&renew_context, renew, &renewed).ok());
  renew.set_plan_id("another");
  EXPECT_EQ(stub->RenewLease(&lost_context, renew, &renewed).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ControlTest, AMeaninglessPlanChangesNothing) {
  auto stub = Stub();
  grpc::ClientContext good_context, bad_context;
  v1::ApplyPlanRequest request;
  *request.mutable_plan() = SelfPlan();
  v1::ApplyPlanReply reply;
  ASSERT_TRUE(stub->ApplyPlan(&good_context, request, &reply).ok());
  request.mutable_plan()->set_plan_id("bad");
  *request.mutable_plan()->add_paths() = request.plan().paths(0);
  EXPECT_EQ(stub->ApplyPlan(&bad_context, request, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(AskSnapshot(path)->plan_id(), "p");
}

TEST_F(ControlTest, GarbageAndSilenceNeverReachGrpc) {
  UniqueFd garbage = Connect();
  const pace::Stopwatch watch;
  ASSERT_GT(send(garbage.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(Closes(garbage.get()));
  EXPECT_TRUE(watch.Within(deadlines::kControlPreface.nominal() / 2)) << "long before the limit for a silent one";
  UniqueFd silent = Connect(), half = Connect();
  ASSERT_GT(send(half.get(), "PRI * HT", 8, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(AskInfo(path).ok());
  EXPECT_TRUE(Closes(silent.get()));
  EXPECT_TRUE(Closes(half.get()));
}

}  // namespace
}  // namespace netsense
