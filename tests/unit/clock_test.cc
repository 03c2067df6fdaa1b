#include "base/clock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "base/logging.h"

namespace netsense {
namespace {

int64_t HostMillis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

TEST(Clock, AnOffsetIsAWholeNumberOfMilliseconds) {
  for (const auto& [text, offset] :
       std::map<std::string, int64_t>{{"0", 0}, {"-3600000", -3'600'000}, {"315360000000", 315'360'000'000}})
    EXPECT_EQ(ParseClockOffset(text).value_or(1), offset) << text;
  for (const char* text : {"", "1h", "0.5", "315360000001", "-315360000001", "99999999999999999999"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseClockOffset(text).status())) << "'" << text << "' was taken";
}

TEST(Clock, IsTheHostsUnlessTold) {
  const int64_t before = HostMillis(), now = EpochMillis(), after = HostMillis();
  EXPECT_LE(before, now);
  EXPECT_LE(now, after);
}

// Of a process of its own each, for the offset is read once.
using ClockDeathTest = testing::TestWithParam<std::pair<const char*, int64_t>>;

TEST_P(ClockDeathTest, IsOffByWhatTheEnvironmentSays) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto [text, offset] = GetParam();
  EXPECT_EXIT(
      {
        setenv("NETSENSE_CLOCK_OFFSET_MS", text, 1);
        if (!InitLogging("test", "warn").ok()) _exit(3);
        const MonotonicTime monotonic = MonotonicNow();
        const int64_t before = HostMillis() + offset;
        const int64_t now = EpochMillis();
        const int64_t after = HostMillis() + offset;
        // The other clock stays as it is.
        _exit(before <= now && now <= after && MonotonicNow() - monotonic < std::chrono::minutes(30) ? 0 : 1);
      },
      testing::ExitedWithCode(0), offset != 0 ? "^$" : "it counts as 0");
}

INSTANTIATE_TEST_SUITE_P(Values, ClockDeathTest,
                         testing::Values(std::pair{"3600000", 3'600'000}, std::pair{"-86400000", -86'400'000},
                                         std::pair{"soon", 0}));

}  // namespace
}  // namespace netsense
