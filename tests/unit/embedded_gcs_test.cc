// What only the embedded GCS can be asked: tokens, heartbeats, bounds. That it answers as Ray's does: gcs_test.cc.
#include "raylet_bridge/gcs/embedded_gcs.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/socket.h"
#include "base/unique_fd.h"
#include "ray/gcs.grpc.pb.h"
#include "raylet_bridge/gcs/gcs_watch.h"
#include "tests/unit/gcs_servers.h"

namespace netsense {
namespace {

bool ConnectTo(const UniqueFd& fd, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

// While alive this process may open no descriptor from `limit` on.
class FewDescriptors {
 public:
  explicit FewDescriptors(int limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few{static_cast<rlim_t>(limit), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// As the embedded GCS of older releases and Ray's own: gRPC without a hello before it.
class PlainGcs {
  struct Kv : ray::rpc::InternalKVGcsService::Service {
    std::atomic<int> calls = 0;
    grpc::Status InternalKVGet(grpc::ServerContext* context, const ray::rpc::InternalKVGetRequest*,
                               ray::rpc::InternalKVGetReply* reply) override {
      EXPECT_TRUE(context->client_metadata().contains("authorization")) << "as Ray's GCS asks for";
      ++calls;
      reply->mutable_status();
      return grpc::Status::OK;
    }
  };

 public:
  explicit PlainGcs(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&kv_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
  }
  ~PlainGcs() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }
  int calls() const { return kv_.calls; }

 private:
  Kv kv_;
  std::unique_ptr<grpc::Server> server_;
};

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
}

TEST(EmbeddedGcs, WhereOlderBridgesAreLetInEveryCallShowsTheToken) {
  TokenFile token;
  token.Write("right");
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "right", .allow_plain = true});
  auto channel = grpc::CreateChannel(AddressOf(gcs->port()), grpc::InsecureChannelCredentials());
  auto stub = ray::rpc::NodeInfoGcsService::NewStub(channel);
  for (const char* shown : {"", "Bearer wrong", "Bearer right"}) {
    grpc::ClientContext context;
    if (*shown != 0) context.AddMetadata("authorization", shown);
    ray::rpc::GetClusterIdReply reply;
    EXPECT_EQ(stub->GetClusterId(&context, {}, &reply).error_code(),
              shown == std::string("Bearer right") ? grpc::StatusCode::OK : grpc::StatusCode::UNAUTHENTICATED);
  }
  auto ours = ClientOf(AddressOf(gcs->port()), token.path());
  EXPECT_TRUE(ours->Put("k", "v").ok()) << "proven, and asked for the token nevertheless";
  EXPECT_EQ(**ours->Get("k"), "v");
}

TEST(EmbeddedGcs, PlainGrpcIsClosedBeforeItsParser) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  auto channel = grpc::CreateChannel(AddressOf(gcs->port()), grpc::InsecureChannelCredentials());
  auto stub = ray::rpc::NodeInfoGcsService::NewStub(channel);
  grpc::ClientContext context;
  ray::rpc::GetClusterIdReply reply;
  EXPECT_EQ(stub->GetClusterId(&context, {}, &reply).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// gRPC's own listener stops accepting for ever.
TEST(EmbeddedGcs, LivesOnAfterItHadNoDescriptors) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  auto early = ClientOf(AddressOf(gcs->port()));
  ASSERT_TRUE(early->Put("k", "v").ok());
  {
    std::vector<UniqueFd> strangers;
    for (int i = 0; i < 20; ++i) strangers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const FewDescriptors few(strangers.back().get() + 1);
    for (const UniqueFd& stranger : strangers) ASSERT_TRUE(ConnectTo(stranger, gcs->port()));
    pollfd closed{strangers.front().get(), POLLIN | POLLRDHUP, 0};
    EXPECT_EQ(poll(&closed, 1, static_cast<int>(pace::Patience() / 1ms)), 1) << "what can't be served is dropped";
    EXPECT_TRUE(early->Put("k", "w").ok()) << "who is there is served";
  }
  EXPECT_EQ(**ClientOf(AddressOf(gcs->port()))->Get("k"), "w");
}

TEST(EmbeddedGcs, SilentStrangersKeepNobodyOut) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 300; ++i) {
    strangers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(ConnectTo(strangers.back(), gcs->port()));
    if (i % 100 == 99) {
      EXPECT_TRUE(ClientOf(AddressOf(gcs->port()))->AliveNodes().ok()) << i;
    }
  }
}

// A bug that opens connections and never closes one.
TEST(EmbeddedGcs, OneAddressHasSoManyConnectionsAndNoMore) {
  constexpr size_t kMost = 20;
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "", .max_connections_per_address = kMost});
  std::vector<std::unique_ptr<GcsClient>> clients;
  absl::Status answer;
  while (answer.ok() && clients.size() <= kMost) {
    clients.push_back(ClientOf(AddressOf(gcs->port())));
    answer = clients.back()->Put("k", "v");
  }
  EXPECT_EQ(clients.size(), kMost + 1);
  EXPECT_EQ(answer.code(), StatusCode::kUnavailable) << answer;
  EXPECT_TRUE(clients.front()->Put("k", "v").ok());
  clients.erase(clients.begin() + 1);
  const MonotonicTime end = pace::Soon();
  while (!clients.back()->Put("k", "v").ok()) ASSERT_LT(MonotonicNow(), end) << "a place is free again";
}

TEST(GcsWatch, SaysWhenNoNewConnectionIsServed) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  const std::string address = AddressOf(gcs->port());
  const GcsWatch watch({.address = address, .token_file = ""});
  EXPECT_EQ(watch.problem(), "");
  gcs.reset();
  EXPECT_TRUE(pace::Eventually([&watch] { return !watch.problem().empty(); }));
  EXPECT_THAT(watch.problem(), HasSubstr("no node can join"));
  gcs = Serve({.listen = address, .token = ""});
  ASSERT_NE(gcs, nullptr);
  EXPECT_TRUE(pace::Eventually([&watch] { return watch.problem().empty(); })) << watch.problem();
}

TEST(GcsClient, ALinkThatIsOverIsOpenedAnew) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  const std::string address = AddressOf(gcs->port());
  auto client = ClientOf(address);
  ASSERT_TRUE(client->Put("k", "v").ok());
  for (int i = 0; i < 3; ++i) {
    gcs.reset();
    gcs = Serve({.listen = address, .token = ""});
    ASSERT_NE(gcs, nullptr);
    EXPECT_TRUE(client->Put("k", "v").ok()) << i;
  }
}

// The head is upgraded, and put back.
TEST(GcsClient, GoesFromPlainGrpcToTheHelloAndBack) {
  TokenFile token;
  token.Write("right");
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "right"});
  const std::string address = AddressOf(gcs->port());
  gcs.reset();
  auto client = ClientOf(address, token.path());
  for (int i = 0; i < 2; ++i) {
    {
      PlainGcs older(address);
      const MonotonicTime end = pace::Soon();
      while (!client->Get("k").ok()) ASSERT_LT(MonotonicNow(), end) << "an older one, " << i;
    }
    gcs = Serve({.listen = address, .token = "right"});
    ASSERT_NE(gcs, nullptr);
    const MonotonicTime end = pace::Soon();
    while (!client->Put("k", "v").ok()) ASSERT_LT(MonotonicNow(), end) << "ours, " << i;
    gcs.reset();
  }
}

TEST(GcsClient, ShowsTheTokenInClearOnlyWhereThatIsAllowed) {
  TokenFile token;
  token.Write("right");
  auto port = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(port.ok());
  const std::string address = AddressOf(LocalPort(port->get()));
  port->Reset();
  PlainGcs older(address);
  auto client = GcsClient::Create(
      {.address = address, .token_file = token.path(), .timeout = pace::Patience(), .allow_plain = false});
  const absl::Status answer = (*client)->Get("k").status();
  EXPECT_EQ(answer.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer.message()), HasSubstr("--gcs-allow-plain"));
  EXPECT_EQ(older.calls(), 0);
  EXPECT_TRUE(ClientOf(address, token.path())->Get("k").ok());
  EXPECT_EQ(older.calls(), 1);
}

// What a client says to the GCS behind `port`, over a connection that is passed on.
std::string HeardOnTheWay(uint16_t port, const std::string& token_file) {
  auto listener = ListenTcp({"127.0.0.1"}, 0);
  std::string heard;
  std::jthread way([&](const std::stop_token& stop) {
    if (!WaitReady(listener->get(), POLLIN, pace::Soon(), stop).ok()) return;
    const UniqueFd client(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const UniqueFd gcs = *ConnectTcp("127.0.0.1", port, {}, pace::Soon(), {});
    pollfd ends[2] = {{client.get(), POLLIN, 0}, {gcs.get(), POLLIN, 0}};
    while (!stop.stop_requested()) {
      if (poll(ends, 2, 20) <= 0) continue;
      for (int from : {0, 1}) {
        uint8_t bytes[4096];
        const ssize_t n = ends[from].revents == 0 ? -2 : recv(ends[from].fd, bytes, sizeof(bytes), 0);
        if (n == 0 || n == -1) return;
        if (n < 0) continue;
        if (from == 0) heard.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
        (void)WriteAll(ends[1 - from].fd, {bytes, static_cast<size_t>(n)}, pace::Soon(), {});
      }
    }
  });
  EXPECT_TRUE(ClientOf(AddressOf(LocalPort(listener->get())), token_file)->Put("k", "v").ok());
  way = {};
  return heard;
}

TEST(GcsClient, TheTokenDoesNotCrossTheWireWhereItWasProven) {
  TokenFile token;
  token.Write("a-secret-of-this-test");
  for (const bool allow_plain : {true, false}) {
    auto gcs = Serve({.listen = "127.0.0.1:0", .token = "a-secret-of-this-test", .allow_plain = allow_plain});
    const std::string heard = HeardOnTheWay(gcs->port(), token.path());
    EXPECT_TRUE(heard.starts_with("NETSENSE"));
    EXPECT_EQ(heard.find("a-secret-of-this-test") != std::string::npos, allow_plain);
  }
}

// Whoever sits there and says nothing, or what is no HTTP/2, does not get the token in clear text.
TEST(GcsClient, ShowsTheTokenToNobodyWhoIsSilentOrCloses) {
  TokenFile token;
  token.Write("right");
  for (const std::string says : {"", "closes", "220 smtp here, at your service\r\n"}) {
    const bool closes = says == "closes";
    auto listener = ListenTcp({"127.0.0.1"}, 0);
    ASSERT_TRUE(listener.ok());
    std::string heard;
    std::jthread stranger([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        pollfd wait{listener->get(), POLLIN, 0};
        if (poll(&wait, 1, 20) != 1) continue;
        UniqueFd fd(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
        char piece[4096];
        pollfd readable{fd.get(), POLLIN, 0};
        while (!stop.stop_requested()) {
          if (poll(&readable, 1, 20) != 1) continue;
          const ssize_t n = recv(fd.get(), piece, sizeof(piece), 0);
          if (n <= 0) break;
          heard.append(piece, static_cast<size_t>(n));
          if (closes) break;
          (void)send(fd.get(), says.data(), says.size(), MSG_NOSIGNAL);
        }
      }
    });
    auto client = GcsClient::Create(
        {.address = AddressOf(LocalPort(listener->get())), .token_file = token.path(), .timeout = 500ms});
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE((*client)->Get("k").ok());
    }
    stranger = {};
    EXPECT_TRUE(heard.starts_with("NETSENSE")) << heard;
    EXPECT_EQ(heard.find("PRI *"), std::string::npos) << "plain gRPC";
    EXPECT_EQ(heard.find("right"), std::string::npos);
  }
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
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = "", .allow_plain = true});
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
