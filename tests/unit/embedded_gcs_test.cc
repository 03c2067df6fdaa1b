// What only the embedded GCS can be asked: tokens, heartbeats, bounds. That it answers as Ray's does: gcs_test.cc.
#include "raylet_bridge/gcs/embedded_gcs.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>

#include "ray/gcs.grpc.pb.h"
#include "tests/unit/gcs_servers.h"

namespace netsense {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(EmbeddedGcs, ATakenPortIsAnError) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  auto second = EmbeddedGcs::Start({.listen = AddressOf(gcs->port()), .token = ""});
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(AddressOf(gcs->port())));
}

TEST(EmbeddedGcs, ATokenIsAskedFor) {
  TokenFile token;
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "right"});
  const std::string address = AddressOf(gcs->port());
  auto bare = ClientOf(address)->AliveNodes();
  EXPECT_EQ(bare.status().code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(bare.status().message()), HasSubstr("--token-file"));

  for (const std::string wrong : {"wrong", "righ", "right2", "Right"}) {
    token.Write(wrong);
    auto refused = ClientOf(address, token.path())->Get("x");
    EXPECT_EQ(refused.status().code(), StatusCode::kUnauthenticated) << wrong;
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(token.path()));
    EXPECT_THAT(std::string(refused.status().message()), testing::Not(HasSubstr("'" + wrong))) << "secrets stay secret";
  }
  token.Write("right");
  EXPECT_TRUE(ClientOf(address, token.path())->AliveNodes().ok());
}

TEST(EmbeddedGcs, EveryMethodAsksForTheToken) {
  TokenFile token;
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "right"});
  auto client = ClientOf(AddressOf(gcs->port()));
  const absl::Status answers[] = {client->AliveNodes().status(),
                                  client->AllNodes().status(),
                                  client->RegisterNode({.node_id = kNodeA, .address = "", .hostname = ""}),
                                  client->UnregisterNode(kNodeA),
                                  client->Get("x").status(),
                                  client->MultiGet({"x"}).status(),
                                  client->Put("x", "y"),
                                  client->Delete("x"),
                                  client->KeysWithPrefix("x").status()};
  for (const auto& answer : answers) EXPECT_EQ(answer.code(), StatusCode::kUnauthenticated) << answer;
  auto channel = grpc::CreateChannel(AddressOf(gcs->port()), grpc::InsecureChannelCredentials());
  auto stub = ray::rpc::NodeInfoGcsService::NewStub(channel);
  grpc::ClientContext context;
  ray::rpc::GetClusterIdReply reply;
  EXPECT_EQ(stub->GetClusterId(&context, {}, &reply).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST(EmbeddedGcs, ARotatedTokenIsReadAgain) {
  TokenFile token;
  token.Write("old");
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "old"});
  const std::string address = AddressOf(gcs->port());
  auto client = ClientOf(address, token.path());
  ASSERT_TRUE(client->Put("k", "v").ok());
  gcs.reset();
  gcs = Serve({.listen = address, .token = "new"});
  ASSERT_NE(gcs, nullptr);
  EXPECT_EQ(client->Put("k", "v").code(), StatusCode::kUnauthenticated);
  token.Write("new");
  EXPECT_TRUE(client->Put("k", "v").ok());
  std::filesystem::remove(token.path());
  EXPECT_TRUE(client->Put("k", "v").ok()) << "a token that works is not read again";
}

TEST(GcsClient, ATokenThatNoHeaderCanCarryIsAnErrorNotAnAbort) {
  TokenFile token;
  token.Write(
      "tok\x01\xff"
      "en");
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "right"});
  EXPECT_EQ(ClientOf(AddressOf(gcs->port()), token.path())->Get("x").status().code(), StatusCode::kUnauthenticated);
}

TEST(EmbeddedGcs, ANodeNotHeardIsDeadAndComesBack) {
  std::atomic<int64_t> now_ms = 0;
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "", .node_timeout = 5s, .clock = [&now_ms] {
                      return MonotonicTime(std::chrono::milliseconds(now_ms));
                    }});
  auto client = ClientOf(AddressOf(gcs->port()));
  auto alive = [&client] {
    std::string ids;
    auto nodes = client->AliveNodes();
    EXPECT_TRUE(nodes.ok()) << nodes.status();
    for (const auto& node : *nodes) ids += node.node_id[0];
    return ids;
  };
  const ClusterNode a{
      .node_id = kNodeA, .address = "10.0.0.1", .hostname = "a", .alive = false, .is_head = true, .start_time_ms = 7};
  const ClusterNode b{.node_id = kNodeB, .address = "10.0.0.2", .hostname = "b"};
  ASSERT_TRUE(client->RegisterNode(a).ok());
  ASSERT_TRUE(client->RegisterNode(b).ok());
  EXPECT_EQ(alive(), "ab");
  auto listed = client->AliveNodes();
  EXPECT_EQ(listed->front().address, "10.0.0.1");
  EXPECT_EQ(listed->front().hostname, "a");
  EXPECT_TRUE(listed->front().is_head);
  EXPECT_EQ(listed->front().start_time_ms, 7u);

  now_ms = 5000;
  ASSERT_TRUE(client->RegisterNode(a).ok());
  EXPECT_EQ(alive(), "ab");
  now_ms = 5001;
  EXPECT_EQ(alive(), "a");
  EXPECT_EQ(client->AllNodes()->size(), 2u);
  ClusterNode silent = client->AllNodes()->back();
  EXPECT_FALSE(silent.alive);
  EXPECT_FALSE(silent.left_in_order);
  EXPECT_EQ(silent.end_reason, "no heartbeat for 5000 ms");

  ASSERT_TRUE(client->RegisterNode(b).ok());
  EXPECT_EQ(alive(), "ab");
  EXPECT_EQ(client->AllNodes()->back().end_reason, "");
  ASSERT_TRUE(client->UnregisterNode(kNodeB).ok());
  EXPECT_EQ(alive(), "a");
  EXPECT_TRUE(client->AllNodes()->back().left_in_order);
  EXPECT_TRUE(client->UnregisterNode(std::string(56, 'c')).ok());

  now_ms = 5001 + 3'600'000 + 1;
  EXPECT_EQ(alive(), "");
  EXPECT_EQ(client->AllNodes()->size(), 1u) << "b died an hour ago and is forgotten; a died just now";
}

TEST(EmbeddedGcs, SurvivesWhatWouldAbortAnother) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  auto stub = ray::rpc::NodeInfoGcsService::NewStub(
      grpc::CreateChannel(AddressOf(gcs->port()), grpc::InsecureChannelCredentials()));
  for (size_t size : {0, 1, 27, 29, 56, 1000}) {
    grpc::ClientContext context, other;
    ray::rpc::RegisterNodeRequest enter;
    ray::rpc::UnregisterNodeRequest leave;
    enter.mutable_node_info()->set_node_id(std::string(size, 'x'));
    leave.set_node_id(std::string(size, 'x'));
    ray::rpc::RegisterNodeReply entered;
    ray::rpc::UnregisterNodeReply left;
    EXPECT_EQ(stub->RegisterNode(&context, enter, &entered).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(stub->UnregisterNode(&other, leave, &left).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  auto client = ClientOf(AddressOf(gcs->port()));
  EXPECT_EQ(client->RegisterNode({.node_id = kNodeA, .address = std::string(5000, 'x'), .hostname = ""}).code(),
            StatusCode::kInternal);
  EXPECT_EQ(client->Put("k", std::string((1 << 20) + 1, 'x')).code(), StatusCode::kInternal);
  EXPECT_EQ(client->Put("k", std::string(8 << 20, 'x')).code(), StatusCode::kInternal);
  EXPECT_EQ(client->Put(std::string(1025, 'k'), "v").code(), StatusCode::kInternal);
  EXPECT_TRUE(client->AllNodes()->empty());
  EXPECT_TRUE(client->KeysWithPrefix("")->empty());
}

TEST(EmbeddedGcs, NodesAreBounded) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  auto client = ClientOf(AddressOf(gcs->port()));
  auto id = [](int i) { return absl::StrCat(std::string(46, '0'), absl::Dec(i, absl::kZeroPad10)); };
  for (int i = 0; i < 10'000; ++i)
    ASSERT_TRUE(client->RegisterNode({.node_id = id(i), .address = "x", .hostname = "x"}).ok()) << i;
  EXPECT_EQ(client->RegisterNode({.node_id = id(10'000), .address = "x", .hostname = "x"}).code(),
            StatusCode::kInternal);
  EXPECT_TRUE(client->RegisterNode({.node_id = id(7), .address = "x", .hostname = "x"}).ok()) << "a known one may stay";
}

}  // namespace
}  // namespace netsense
