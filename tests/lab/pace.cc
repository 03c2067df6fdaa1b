#include "tests/lab/pace.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/deadlines.h"

namespace netsense::pace {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// ---- the scale

constexpr int kWorkers = 2;   // as most tests: one side asks, the other answers
constexpr int kMeetings = 2;  // in a probe: whoever is done waits for the other one
constexpr int kSteps = 1'300'000;
// What a probe takes on a machine that keeps up. Every machine that is faster counts as this one.
constexpr nanoseconds kReference = 8ms;
constexpr double kGoodEnough = 1.2;
constexpr double kMostScale = 100;  // as base/deadlines.h

// A walk through a table in which each step depends on the one before.
uint64_t Walk(uint64_t at) {
  std::array<uint32_t, 4096> table;
  std::iota(table.begin(), table.end(), 1u);
  for (int step = 0; step < kSteps; ++step) {
    at = at * 6364136223846793005u + table[(at >> 33) % table.size()];
    table[(at >> 40) % table.size()] += static_cast<uint32_t>(at);
  }
  return at;
}

double Probe() {
  const MonotonicTime start = MonotonicNow();
  std::barrier meeting(kWorkers);
  std::atomic<uint64_t> sink = 0;
  auto work = [&] {
    for (int i = 0; i < kMeetings; ++i) {
      sink += Walk(static_cast<uint64_t>(i));
      meeting.arrive_and_wait();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < kWorkers; ++i) workers.emplace_back(work);
  }
  return std::chrono::duration<double>(MonotonicNow() - start) / std::chrono::duration<double>(kReference);
}

double MedianOf(int probes) {
  std::vector<double> took;
  for (int i = 0; i < probes; ++i) {
    took.push_back(Probe());
    if (i == 0 && took[0] <= kGoodEnough) return took[0];
  }
  std::nth_element(took.begin(), took.begin() + probes / 2, took.end());
  return took[static_cast<size_t>(probes) / 2];
}

double Clamp(double scale) { return std::clamp(scale, 1.0, kMostScale); }

double AsCallerSet() {
  static const double kSet = [] {
    const char* text = std::getenv("NETSENSE_TIME_SCALE");
    return text == nullptr ? 1 : ParseTimeScale(text).value_or(1);
  }();
  return kSet;
}

double MeasureScale(int probes) { return Clamp(Clamp(MedianOf(probes)) * AsCallerSet()); }

// ---- the witness

class Witness {
 public:
  Witness() : thread_([this](const std::stop_token& stop) { Watch(stop); }) {}

  nanoseconds StoodStill() const {
    // It may stand still right now.
    const nanoseconds now_late = MonotonicNow() - MonotonicTime(nanoseconds(due_.load()));
    return nanoseconds(late_.load()) + std::max(now_late - kLate, nanoseconds{});
  }

 private:
  static constexpr milliseconds kEvery{5};
  static constexpr milliseconds kLate{1};  // what any timer may take

  void Watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const MonotonicTime due = MonotonicNow() + kEvery;
      due_ = nanoseconds(due.time_since_epoch()).count();
      std::this_thread::sleep_until(due);
      const nanoseconds late = MonotonicNow() - due - kLate;
      if (late.count() > 0) late_ += late.count();
    }
  }

  std::atomic<int64_t> due_ = nanoseconds(MonotonicTime::max().time_since_epoch()).count();
  std::atomic<int64_t> late_ = 0;
  std::jthread thread_;
};

// Lives until the process ends: a test's threads may judge to the last.
Witness& TheWitness() {
  static Witness& witness = *new Witness;
  return witness;
}

std::string Seconds(nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + " ms";
}

}  // namespace

void Start() {
  (void)Scale();
  (void)TheWitness();
}

double Scale() {
  static const double kScale = [] {
    const double scale = MeasureScale(5);
    setenv("NETSENSE_TIME_SCALE", std::to_string(scale).c_str(), 1);
    return scale;
  }();
  return kScale;
}

nanoseconds Scaled(nanoseconds nominal) {
  return nanoseconds(static_cast<int64_t>(static_cast<double>(nominal.count()) * Scale()));
}

milliseconds Patience() { return std::chrono::ceil<milliseconds>(Scaled(30s)); }

bool Eventually(const std::function<bool()>& condition, nanoseconds limit) {
  const MonotonicTime end = MonotonicNow() + limit;
  while (!condition()) {
    if (MonotonicNow() >= end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

Stopwatch::Stopwatch() : started_(MonotonicNow()), stood_still_(TheWitness().StoodStill()) {}

nanoseconds Stopwatch::standstill() const { return TheWitness().StoodStill() - stood_still_; }

testing::AssertionResult Stopwatch::Within(nanoseconds nominal, nanoseconds took) const {
  const nanoseconds stood = standstill();
  double scale = Scale();
  auto holds = [&] {
    return static_cast<double>((took - stood).count()) <= static_cast<double>(nominal.count()) * scale;
  };
  if (!holds()) scale = std::max(scale, MeasureScale(9));
  auto result = holds() ? testing::AssertionSuccess() : testing::AssertionFailure();
  return result << "it took " << Seconds(took) << ", of which the machine stood still for " << Seconds(stood)
                << "; allowed are " << Seconds(nominal) << " x " << scale;
}

}  // namespace netsense::pace
