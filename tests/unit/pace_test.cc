// The helper that judges time can say no, and does not when it is the machine that stood still.
#include "tests/lab/pace.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>

namespace netsense::pace {
namespace {

using namespace std::chrono_literals;

TEST(Pace, AScaleIsExportedToTheProcessesThatATestStarts) {
  EXPECT_GE(Scale(), 1);
  EXPECT_LE(Scale(), 100);
  EXPECT_NEAR(std::atof(std::getenv("NETSENSE_TIME_SCALE")), Scale(), 1e-3);
  EXPECT_EQ(Scaled(0s), 0s);
  EXPECT_GE(Scaled(1s), 1s);
}

// A sleep is no standstill: whoever sleeps for too long is too slow on any machine.
TEST(Pace, ASlowProductIsCaught) {
  Stopwatch watch;
  std::this_thread::sleep_for(Scaled(100ms) * 10);
  auto judged = watch.Within(100ms);
  EXPECT_FALSE(judged) << judged.message();
  EXPECT_TRUE(watch.Within(30s)) << judged.message();
}

TEST(Pace, EventuallyWaitsForWhatComesAndEndsWhereNothingDoes) {
  int asked = 0;
  EXPECT_TRUE(Eventually([&] { return ++asked == 3; }));
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(Eventually([] { return false; }, 5ms));
}

}  // namespace
}  // namespace netsense::pace
