#include "base/deadlines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "base/logging.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

using namespace std::chrono_literals;

TEST(Deadlines, AScaleIsANumberFromOneToAHundred) {
  for (const auto& [text, scale] : std::map<std::string, double>{{"1", 1}, {"2.5", 2.5}, {"1e2", 100}, {" 3 ", 3}}) {
    auto parsed = ParseTimeScale(text);
    ASSERT_TRUE(parsed.ok()) << "'" << text << "': " << parsed.status();
    EXPECT_EQ(*parsed, scale);
  }
  for (const char* text : {"", "0", "0.99", "-2", "100.1", "1e9", "inf", "nan", "two", "2x", "2,5", "\n"}) {
    auto parsed = ParseTimeScale(text);
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << "'" << text << "' was taken";
  }
  EXPECT_EQ(ParseTimeScale("2x\n").status().message(),
            "NETSENSE_TIME_SCALE must be a number from 1 to 100, not '2x\\n'");
}

TEST(Deadlines, AreLengthenedByTheScale) {
  constexpr Deadline kLimit{2s};
  EXPECT_EQ(kLimit.nominal(), 2s);
  EXPECT_EQ(kLimit.Times(1), 2s);
  EXPECT_EQ(kLimit.Times(2.5), 5s);
  EXPECT_EQ(deadlines::kUntimedStream.Times(100), 100h) << "no overflow";
}

// What the tests have measured is what the product waits by.
TEST(Deadlines, TheProductTakesTheScaleFromTheEnvironment) {
  EXPECT_NEAR(TimeScale(), pace::Scale(), 1e-3);
  EXPECT_EQ(deadlines::kHandshake(), deadlines::kHandshake.Times(TimeScale()));
}

// Of a process of its own each, for the scale is read once.
using DeadlinesDeathTest = testing::TestWithParam<std::pair<const char*, double>>;

TEST_P(DeadlinesDeathTest, WhatIsNoScaleIsSaidAndCountsAsOne) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto [text, scale] = GetParam();
  const std::string said = scale != 1 ? "^$"
                                      : std::string("NETSENSE_TIME_SCALE must be a number from 1 to 100, not '") +
                                            text + "'; it counts as 1";
  EXPECT_EXIT(
      {
        setenv("NETSENSE_TIME_SCALE", text, 1);
        if (!InitLogging("test", "warn").ok()) _exit(3);
        _exit(TimeScale() == scale && deadlines::kHandshake() == deadlines::kHandshake.Times(scale) ? 0 : 1);
      },
      testing::ExitedWithCode(0), said);
}

INSTANTIATE_TEST_SUITE_P(Values, DeadlinesDeathTest,
                         testing::Values(std::pair{"7", 7.0}, std::pair{"0.1", 1.0}, std::pair{"1000", 1.0},
                                         std::pair{"fast", 1.0}));

}  // namespace
}  // namespace netsense
