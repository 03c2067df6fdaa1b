// One suite for the GCS client against two servers: the embedded GCS, and Ray's own where NETSENSE_TEST_GCS=host:port
// names one. Then the client where there is no server, or a bad one. What only the embedded one can be asked:
// embedded_gcs_test.cc.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "tests/lab/pace.h"
#include "tests/unit/gcs_servers.h"

namespace netsense {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using namespace std::chrono_literals;

// Both servers.

class GcsClientTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string address;
    if (GetParam() == "Ray") {
      const char* named = std::getenv("NETSENSE_TEST_GCS");
      if (named == nullptr) GTEST_SKIP() << "NOT RUN AGAINST RAY: set NETSENSE_TEST_GCS=host:port to a Ray GCS";
      address = named;
    } else {
      embedded_ = Serve({.listen = "127.0.0.1:0", .token = ""});
      ASSERT_NE(embedded_, nullptr);
      address = AddressOf(embedded_->port());
    }
    client_ = ClientOf(address);
    ASSERT_NE(client_, nullptr);
    if (embedded_ != nullptr) {
      ASSERT_TRUE(client_->RegisterNode({.node_id = kNodeB, .address = "127.0.0.1", .hostname = "host"}).ok());
      ASSERT_TRUE(client_->RegisterNode({.node_id = kNodeA, .address = "127.0.0.1", .hostname = "host"}).ok());
    }
    prefix_ = absl::StrCat("gcs_test:", std::random_device()(), ":");
  }

  void TearDown() override {
    if (client_ == nullptr) return;
    auto keys = client_->KeysWithPrefix(prefix_);
    ASSERT_TRUE(keys.ok()) << keys.status();
    for (const auto& key : *keys) EXPECT_TRUE(client_->Delete(key).ok());
  }

  std::unique_ptr<EmbeddedGcs> embedded_;
  std::unique_ptr<GcsClient> client_;
  std::string prefix_;
};

TEST_P(GcsClientTest, ListsTheAliveNodes) {
  auto nodes = client_->AliveNodes();
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_FALSE(nodes->empty());
  for (const auto& node : *nodes) {
    EXPECT_EQ(node.node_id.size(), 56u);
    EXPECT_EQ(node.node_id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(node.alive);
    EXPECT_FALSE(node.address.empty());
    EXPECT_FALSE(node.hostname.empty());
  }
  EXPECT_TRUE(
      std::is_sorted(nodes->begin(), nodes->end(), [](const auto& a, const auto& b) { return a.node_id < b.node_id; }));
  auto all = client_->AllNodes();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_GE(all->size(), nodes->size());
}

TEST_P(GcsClientTest, KeepsTheLastValuePut) {
  const std::string key = prefix_ + "a";
  ASSERT_TRUE(client_->Put(key, "one").ok());
  EXPECT_EQ(client_->Get(key)->value(), "one");
  ASSERT_TRUE(client_->Put(key, "two").ok());
  EXPECT_EQ(client_->Get(key)->value(), "two");
}

TEST_P(GcsClientTest, AnAbsentKeyIsNoError) {
  auto value = client_->Get(prefix_ + "absent");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, std::nullopt);
  EXPECT_TRUE(client_->Delete(prefix_ + "absent").ok());
  ASSERT_TRUE(client_->Put(prefix_ + "gone", "x").ok());
  ASSERT_TRUE(client_->Delete(prefix_ + "gone").ok());
  EXPECT_EQ(*client_->Get(prefix_ + "gone"), std::nullopt);
}

TEST_P(GcsClientTest, AnEmptyValueIsAValue) {
  ASSERT_TRUE(client_->Put(prefix_ + "empty", "").ok());
  EXPECT_EQ(*client_->Get(prefix_ + "empty"), std::make_optional<std::string>());
}

TEST_P(GcsClientTest, KeysAndValuesAreBytes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  ASSERT_TRUE(client_->Put(prefix_ + bytes, bytes).ok());
  EXPECT_EQ(client_->Get(prefix_ + bytes)->value(), bytes);
  EXPECT_EQ(*client_->KeysWithPrefix(prefix_), std::vector<std::string>{prefix_ + bytes});
  const std::string large(1 << 20, '\xfe');
  ASSERT_TRUE(client_->Put(prefix_ + "large", large).ok());
  EXPECT_TRUE(client_->Get(prefix_ + "large")->value() == large);
}

TEST_P(GcsClientTest, MultiGetLeavesOutTheAbsent) {
  ASSERT_TRUE(client_->Put(prefix_ + "a", "1").ok());
  ASSERT_TRUE(client_->Put(prefix_ + "b", "2").ok());
  auto found = client_->MultiGet({prefix_ + "b", prefix_ + "absent", prefix_ + "a", prefix_ + "a"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, (std::map<std::string, std::string>{{prefix_ + "a", "1"}, {prefix_ + "b", "2"}}));
  EXPECT_TRUE(client_->MultiGet({})->empty());
}

TEST_P(GcsClientTest, KeysArePrefixedExactly) {
  for (const char* key : {"ab", "abc", "ab*", "b"}) ASSERT_TRUE(client_->Put(prefix_ + key, "x").ok());
  auto keys = client_->KeysWithPrefix(prefix_ + "ab");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_THAT(*keys, testing::UnorderedElementsAre(prefix_ + "ab", prefix_ + "ab*", prefix_ + "abc"));
  EXPECT_TRUE(client_->KeysWithPrefix(prefix_ + "absent")->empty());
  ASSERT_TRUE(client_->Delete(prefix_ + "ab").ok());  // and nothing that merely begins with it
  EXPECT_EQ(client_->KeysWithPrefix(prefix_ + "ab")->size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(Servers, GcsClientTest, testing::Values("Embedded", "Ray"),
                         [](const auto& server) { return server.param; });

// No server, or a bad one.

// A TCP port of loopback that nobody else gets while this lives. Listening, it takes connections and says nothing.
class HeldPort {
 public:
  explicit HeldPort(bool listening) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    if (listening) {
      EXPECT_EQ(listen(socket_.get(), 8), 0);
    }
    EXPECT_EQ(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  uint16_t port() const { return port_; }

 private:
  UniqueFd socket_;
  uint16_t port_ = 0;
};

TEST(GcsClient, NobodyThereIsUnavailableAndSoon) {
  HeldPort closed(/*listening=*/false);
  auto client = ClientOf(AddressOf(closed.port()));
  const pace::Stopwatch watch;
  for (int i = 0; i < 3; ++i) {
    auto nodes = client->AliveNodes();
    EXPECT_EQ(nodes.status().code(), StatusCode::kUnavailable) << nodes.status();
    EXPECT_THAT(std::string(nodes.status().message()), HasSubstr(AddressOf(closed.port())));
  }
  EXPECT_TRUE(watch.Within(5s)) << "a call may take half a minute";
}

TEST(GcsClient, SilenceEndsWithTheTimeout) {
  HeldPort silent(/*listening=*/true);
  auto client = GcsClient::Create({.address = AddressOf(silent.port()), .token_file = "", .timeout = 300ms});
  ASSERT_TRUE(client.ok());
  const pace::Stopwatch watch;
  auto value = (*client)->Get("x");
  EXPECT_TRUE(absl::IsDeadlineExceeded(value.status()) || absl::IsUnavailable(value.status())) << value.status();
  EXPECT_TRUE(watch.Within(300ms + 1s));
}

TEST(GcsClient, ABadNodeIdNeverLeavesTheHouse) {
  HeldPort closed(/*listening=*/false);  // Unavailable would be the answer, were it asked
  auto client = ClientOf(AddressOf(closed.port()));
  for (const auto& id : {std::string(), std::string(28, 'a'), std::string(55, 'a'), std::string(57, 'a'),
                         std::string(56, 'g'), std::string(56, '\0')}) {
    EXPECT_EQ(client->RegisterNode({.node_id = id, .address = "", .hostname = ""}).code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(client->UnregisterNode(id).code(), StatusCode::kInvalidArgument);
  }
}

TEST(GcsClient, ABadAddressIsRefused) {
  for (const char* address :
       {"", "host", ":6379", "host:", "host:0", "host:65536", "ray://host:6379", "::1:6379", "h:6379x"})
    EXPECT_EQ(GcsClient::Create({.address = address, .token_file = ""}).status().code(), StatusCode::kInvalidArgument)
        << address;
  for (const char* address : {"127.0.0.1:1", "head.example:6379", "[::1]:65535"})
    EXPECT_TRUE(CheckGcsAddress(address).ok()) << address;
}

TEST(GcsClient, TheNextCallAfterARestartWorks) {
  auto gcs = Serve({.listen = "127.0.0.1:0", .token = ""});
  const std::string address = AddressOf(gcs->port());
  auto client = ClientOf(address);
  ASSERT_TRUE(client->Put("k", "v").ok());
  gcs.reset();
  EXPECT_EQ(client->Get("k").status().code(), StatusCode::kUnavailable);
  gcs = Serve({.listen = address, .token = ""});
  ASSERT_NE(gcs, nullptr);
  auto value = client->Get("k");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, std::nullopt);  // it forgets everything
}

}  // namespace
}  // namespace netsense
