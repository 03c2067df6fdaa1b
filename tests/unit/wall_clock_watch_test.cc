// That a wall clock that was set is noticed. The clock of this machine is not ours to set: tests/vm/guest_clock.sh sets
// one.
#include "base/wall_clock_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <future>

#include "tests/lab/pace.h"

namespace netsense {
namespace {

using namespace std::chrono_literals;

// Stands for the kernel's timer.
class WallClockWatchTest : public testing::Test {
 protected:
  void Set(std::chrono::nanoseconds lead) {
    lead_ = lead;
    eventfd_write(bell_, 1);
  }

  std::chrono::milliseconds Told() {
    auto told = told_.get_future();
    if (told.wait_for(pace::Patience()) != std::future_status::ready) return 0ms;
    const auto step = told.get();
    told_ = {};
    return step;
  }

  const int bell_ = eventfd(0, EFD_CLOEXEC);
  std::atomic<std::chrono::nanoseconds> lead_ = std::chrono::nanoseconds(1000s);
  std::promise<std::chrono::milliseconds> told_;
};

TEST_F(WallClockWatchTest, SaysByHowMuch) {
  WallClockWatch watch([this](auto step) { told_.set_value(step); }, UniqueFd(bell_), [this] { return lead_.load(); });
  Set(1000s - 1h);
  EXPECT_EQ(Told(), -1h);
  Set(1000s + 1h);
  EXPECT_EQ(Told(), 2h) << "from where it was last";
  Set(1000s + 1h + 10ms);  // slewed, or nothing at all: nobody is told
  Set(1000s);
  EXPECT_EQ(Told(), -1h);
}

TEST(WallClockWatch, ItsTimerWaitsForTheClockToBeSet) {
  const UniqueFd timer = WallClockWatch::Timer();
  ASSERT_TRUE(timer);
  pollfd fd{timer.get(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 0), 0) << "nobody has set it";
  char words[64] = "";
  const std::string link = "/proc/self/fdinfo/" + std::to_string(timer.get());
  std::string info;
  FILE* file = fopen(link.c_str(), "r");
  ASSERT_NE(file, nullptr);
  while (fgets(words, sizeof(words), file) != nullptr) info += words;
  fclose(file);
  // The kernel's own words: CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET.
  EXPECT_THAT(info, testing::HasSubstr("clockid: 0"));
  EXPECT_THAT(info, testing::HasSubstr("settime flags: 03"));
}

TEST(WallClockWatch, EndsAtOnce) {
  WallClockWatch watch([](auto) { FAIL(); });
}

}  // namespace
}  // namespace netsense
