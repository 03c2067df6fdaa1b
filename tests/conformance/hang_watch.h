// Ends a program whose test hangs, in a call that never returns, and names the test: its peers go with it.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"

namespace netsense::conformance {

// No test may take longer than a minute (NETSENSE_CONFORMANCE_TEST_LIMIT_S says another time), scaled.
class HangWatch final : public testing::EmptyTestEventListener {
 public:
  HangWatch();

  void OnTestStart(const testing::TestInfo& test) override;
  void OnTestEnd(const testing::TestInfo& test) override;

 private:
  void Watch(const std::stop_token& stop);

  const std::chrono::nanoseconds limit_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<MonotonicTime> due_;
  std::string test_;
  std::jthread thread_;
};

}  // namespace netsense::conformance
