// How fast this machine is at the moment, for the tests that judge time: a bound is what it would be on a machine that
// keeps up, times the scale, and what the machine stood still in between is taken off. So a bound may be as tight as
// what it is there to catch, and still holds where every core is shared.
//
// The scale is 1 or more: how much longer than on a machine that keeps up it takes two threads to do a piece of work
// together; times NETSENSE_TIME_SCALE, where whoever started the test has set it. It is exported under that name: the
// product in this process, and the processes that a test starts, wait as much longer (base/deadlines.h).
// tests/lab/pace.py is the same for the tests in Python.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "base/clock.h"

namespace netsense::pace {

using std::chrono::nanoseconds;

// First thing in main (tests/lab/gtest_main.cc): measures, some 10 ms on a machine that keeps up, exports the scale,
// and starts the witness.
void Start();

// The scale of Start(). The same for the whole life of the process, as the product's.
double Scale();
nanoseconds Scaled(nanoseconds nominal);

// So long a test waits for what must come, before it says that it hangs. No test passes sooner by a shorter limit, and
// none fails by a longer one: half a minute, scaled.
std::chrono::milliseconds Patience();
inline MonotonicTime Soon() { return MonotonicNow() + Patience(); }

// Asks every millisecond until it holds. False: it does not after `limit`.
bool Eventually(const std::function<bool()>& condition, nanoseconds limit = Patience());

// What a test judges time with.
class Stopwatch {
 public:
  Stopwatch();
  MonotonicTime started() const { return started_; }
  nanoseconds elapsed() const { return MonotonicNow() - started_; }
  // What of it the machine stood still, as far as the witness saw: a thread that wakes every few milliseconds, and
  // notes how late.
  nanoseconds standstill() const;

  // That no more than `nominal` has passed, on a machine that keeps up. Where the scale of Start() says that it has,
  // the scale is measured again before it is believed: the load may have come later.
  testing::AssertionResult Within(nanoseconds nominal) const { return Within(nominal, elapsed()); }
  // The same of what something else has measured since.
  testing::AssertionResult Within(nanoseconds nominal, nanoseconds took) const;

 private:
  MonotonicTime started_;
  nanoseconds stood_still_;
};

}  // namespace netsense::pace
