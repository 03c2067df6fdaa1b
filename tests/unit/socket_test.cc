#include "base/socket.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "tests/lab/pace.h"

namespace netsense {
namespace {

TEST(Connect, ToAClosedPortIsUnavailable) {
  auto listener = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(listener.ok());
  uint16_t port = LocalPort(listener->get());
  listener->Reset();
  auto fd = ConnectTcp("127.0.0.1", port, {}, pace::Soon(), {});
  EXPECT_TRUE(absl::IsUnavailable(fd.status())) << fd.status();
}

TEST(Connect, UsesTheSourceAddress) {
  auto listener = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(listener.ok());
  auto fd = ConnectTcp("127.0.0.1", LocalPort(listener->get()), {.address = "127.0.0.9"}, pace::Soon(), {});
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_EQ(LocalAddress(fd->get()), "127.0.0.9");
  auto foreign = ConnectTcp("127.0.0.1", LocalPort(listener->get()), {.address = "192.0.2.1"}, pace::Soon(), {});
  EXPECT_TRUE(absl::IsInternal(foreign.status())) << foreign.status();
}

TEST(Listen, SaysWhenThePortIsTaken) {
  auto first = ListenTcp({"127.0.0.1"}, 0);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(ListenTcp({"127.0.0.1"}, LocalPort(first->get())).status()));
}

TEST(Read, EndsAtTheDeadlineAndAtAStop) {
  auto listener = ListenTcp({"127.0.0.1"}, 0);
  auto fd = ConnectTcp("127.0.0.1", LocalPort(listener->get()), {}, pace::Soon(), {});
  ASSERT_TRUE(fd.ok());
  std::array<uint8_t, 4> bytes{};
  MonotonicTime start = MonotonicNow();
  auto late = ReadExactly(fd->get(), bytes, start + std::chrono::milliseconds(50), {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_GE(MonotonicNow() - start, std::chrono::milliseconds(50));
  std::stop_source stop;
  std::jthread stopper([&stop] { stop.request_stop(); });
  auto stopped = ReadExactly(fd->get(), bytes, MonotonicNow() + std::chrono::minutes(1), stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(stopped)) << stopped;
}

}  // namespace
}  // namespace netsense
