#include "tests/conformance/hang_watch.h"

#include <cstdlib>
#include <iostream>

#include "tests/lab/pace.h"

namespace netsense::conformance {
namespace {

std::chrono::nanoseconds Limit() {
  const char* seconds = std::getenv("NETSENSE_CONFORMANCE_TEST_LIMIT_S");
  return pace::Scaled(std::chrono::seconds(seconds == nullptr ? 60 : std::atoi(seconds)));
}

}  // namespace

HangWatch::HangWatch() : limit_(Limit()), thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

void HangWatch::OnTestStart(const testing::TestInfo& test) {
  std::lock_guard lock(mutex_);
  due_ = MonotonicNow() + limit_;
  test_ = std::string(test.test_suite_name()) + "." + test.name();
  changed_.notify_all();
}

void HangWatch::OnTestEnd(const testing::TestInfo&) {
  std::lock_guard lock(mutex_);
  due_.reset();
  changed_.notify_all();
}

void HangWatch::Watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!due_) {
      changed_.wait(lock, stop, [this] { return due_.has_value(); });
    } else if (const MonotonicTime due = *due_; MonotonicNow() < due) {
      changed_.wait_until(lock, stop, due, [&] { return due_ != due; });
    } else {
      std::cout << "[  FAILED  ] " << test_ << ": it hangs, after "
                << std::chrono::duration_cast<std::chrono::seconds>(limit_).count() << " s" << std::endl;
      std::_Exit(1);
    }
  }
}

}  // namespace netsense::conformance
