// A name whose servers never answer. The resolver of this program is the system's, but for that one name.
#include "base/resolve.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "base/socket.h"
#include "engine/engine.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

constexpr char kSilent[] = "never.example";

struct SilentServers {
  std::mutex mutex;
  std::condition_variable news;
  int asked = 0;  // and waiting
  bool answer = false;
};
SilentServers servers;

int WaitForAnAnswer() {
  std::unique_lock lock(servers.mutex);
  ++servers.asked;
  servers.news.wait(lock, [] { return servers.answer; });
  --servers.asked;
  return EAI_AGAIN;
}

int Asked() {
  std::lock_guard lock(servers.mutex);
  return servers.asked;
}

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() { servers.answer = false; }
  ~ResolveTest() override {
    {
      std::lock_guard lock(servers.mutex);
      servers.answer = true;
    }
    servers.news.notify_all();
    EXPECT_TRUE(pace::Eventually([] { return Asked() == 0; }));
  }
};

}  // namespace
}  // namespace netsense

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool is_name = hints == nullptr || (hints->ai_flags & AI_NUMERICHOST) == 0;
  if (node != nullptr && is_name && std::strcmp(node, netsense::kSilent) == 0) return netsense::WaitForAnAnswer();
  return real(node, service, hints, found);
}

namespace netsense {
namespace {

TEST_F(ResolveTest, AddressesAndKnownNamesAreFound) {
  for (const char* address : {"127.0.0.1", "::1", "127.0.0.9"}) {
    auto found = ResolveHost(address, 80, MonotonicNow(), {});
    ASSERT_TRUE(found.ok()) << "it takes no time: " << found.status();
    EXPECT_EQ(AddressText(**found), address);
  }
  auto known = ResolveHost("localhost", 80, pace::Soon(), {});
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_TRUE(AddressText(**known) == "127.0.0.1" || AddressText(**known) == "::1");
  EXPECT_TRUE(absl::IsUnavailable(ResolveHost("no such host", 80, pace::Soon(), {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(NumericAddress("localhost", 80).status()));
}

TEST_F(ResolveTest, ADeadlineEndsTheWait) {
  auto late = ConnectTcp(kSilent, 80, {}, MonotonicNow() + std::chrono::milliseconds(20), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status()));
  EXPECT_NE(late.status().message().find("cannot resolve never.example"), absl::string_view::npos) << late.status();
  EXPECT_EQ(Asked(), 1) << "it is left behind, and waits on";
}

TEST_F(ResolveTest, ItIsStopped) {
  std::stop_source stop;
  absl::Status status;
  std::thread asks([&] { status = ConnectTcp(kSilent, 80, {}, MonotonicTime::max(), stop.get_token()).status(); });
  EXPECT_TRUE(pace::Eventually([] { return Asked() == 1; }));
  stop.request_stop();
  asks.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(ResolveTest, NoMoreThanSixtyFourAreLeftBehind) {
  std::stop_source stop;
  std::vector<std::thread> all;
  for (int i = 0; i < 64; ++i)
    all.emplace_back([&] { (void)ResolveHost(kSilent, 80, MonotonicTime::max(), stop.get_token()); });
  EXPECT_TRUE(pace::Eventually([] { return Asked() == 64; }));
  auto more = ResolveHost(kSilent, 80, MonotonicNow() + std::chrono::milliseconds(20), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(more.status())) << more.status();
  EXPECT_TRUE(ResolveHost("127.0.0.1", 80, MonotonicNow(), {}).ok()) << "an address needs no place";
  stop.request_stop();
  for (std::thread& each : all) each.join();
  EXPECT_EQ(Asked(), 64) << "left behind";
}

// Once an engine that was given a name needed SIGKILL to end.
TEST_F(ResolveTest, AnEngineThatWaitsForANameEnds) {
  auto engine = Engine::Start({});
  ASSERT_TRUE(engine.ok()) << engine.status();
  v1::Plan plan;
  plan.set_plan_id("p");
  plan.set_self_node_id("self");
  plan.set_lease_ms(60'000);
  plan.set_rtt_window(5);
  plan.set_rtt_alpha(0.3);
  plan.set_bandwidth_window(3);
  plan.set_bandwidth_alpha(0.3);
  plan.set_ping_concurrency(2);
  plan.set_bandwidth_concurrency(1);
  v1::PlannedPath* path = plan.add_paths();
  path->set_path_id("peer/tcp");
  path->set_transport("tcp");
  path->set_dst_node_id("peer");
  path->set_dst_address(kSilent);
  path->set_dst_port(1);
  path->set_ping_interval_ms(100);
  path->set_ping_timeout_ms(60'000);
  ASSERT_TRUE((*engine)->ApplyPlan(plan).ok());
  EXPECT_TRUE(pace::Eventually([] { return Asked() == 1; }));
  engine->reset();
  EXPECT_EQ(Asked(), 1) << "the answer has not come yet";
}

}  // namespace
}  // namespace netsense
