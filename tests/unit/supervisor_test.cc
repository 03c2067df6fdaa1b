#include "base/supervisor.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

namespace netsense {
namespace {

using std::chrono::milliseconds;

// The pauses after runs that end at once, until there are `wanted` of them.
std::vector<milliseconds> PausesOf(Supervisor::Pauses pauses, size_t wanted) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<milliseconds> seen;
  {
    Supervisor supervisor(
        pauses, [](const std::stop_token&) { return "ended"; },
        [&](const std::string& how, milliseconds pause) {
          EXPECT_EQ(how, "ended");
          std::lock_guard lock(mutex);
          seen.push_back(pause);
          changed.notify_all();
        });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return seen.size() >= wanted; });
  }
  seen.resize(wanted);
  return seen;
}

TEST(Supervisor, PausesDoubleUpToTheLongest) {
  EXPECT_EQ(PausesOf({.first = milliseconds(1), .longest = milliseconds(3), .healthy_after = std::chrono::hours(1)}, 4),
            (std::vector{milliseconds(1), milliseconds(2), milliseconds(3), milliseconds(3)}));
}

TEST(Supervisor, AfterAHealthyRunThePauseIsTheFirstAgain) {
  EXPECT_EQ(
      PausesOf({.first = milliseconds(1), .longest = milliseconds(3), .healthy_after = std::chrono::seconds(0)}, 3),
      (std::vector{milliseconds(1), milliseconds(1), milliseconds(1)}));
}

TEST(Supervisor, AStopEndsTheRunAndIsNoEndOfItsOwn) {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool running = false;
  {
    Supervisor supervisor(
        {.first = milliseconds(1), .longest = milliseconds(1), .healthy_after = std::chrono::hours(1)},
        [&](const std::stop_token& stop) {
          std::unique_lock lock(mutex);
          running = true;
          changed.notify_all();
          changed.wait(lock, stop, [] { return false; });
          return "stopped";
        },
        [](const std::string& how, milliseconds) { ADD_FAILURE() << how; });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running; });
  }
}

TEST(Supervisor, AStopEndsAPause) {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  Supervisor supervisor(
      {.first = std::chrono::hours(1), .longest = std::chrono::hours(1), .healthy_after = std::chrono::hours(1)},
      [](const std::stop_token&) { return ""; },
      [&](const std::string&, milliseconds) {
        std::lock_guard lock(mutex);
        ended = true;
        changed.notify_all();
      });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended; });
}

}  // namespace
}  // namespace netsense
