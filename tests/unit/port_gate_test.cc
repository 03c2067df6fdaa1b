#include "engine/port_gate.h"

#include <gtest/gtest.h>

#include <optional>

namespace netsense {
namespace {

constexpr uint64_t kGigabit = 1'000'000'000;

TEST(PortGate, StreamsOfOneMeasurementShareAPort) {
  PortGate gate({.unlimited = true});
  {
    auto first = gate.TryEnter("eth0", kGigabit, 1, MonotonicNow(), 7);
    auto second = gate.TryEnter("eth0", kGigabit, 1, MonotonicNow(), 7);
    EXPECT_TRUE(second.ok());
    EXPECT_TRUE(absl::IsAborted(gate.TryEnter("eth0", kGigabit, 1, MonotonicNow(), 8).status()));
    EXPECT_TRUE(absl::IsAborted(gate.TryEnter("eth0", kGigabit, 1).status()));
  }
  EXPECT_TRUE(gate.TryEnter("eth0", kGigabit, 1, MonotonicNow(), 8).ok());
}

TEST(PortGate, LetsOneStreamInAtATime) {
  PortGate gate({.unlimited = true});
  {
    auto first = gate.TryEnter("eth0", kGigabit, 1);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(absl::IsAborted(gate.TryEnter("eth0", kGigabit, 1).status()));
    EXPECT_TRUE(gate.TryEnter("eth1", kGigabit, 1).ok());
  }
  EXPECT_TRUE(gate.TryEnter("eth0", kGigabit, 1).ok());
}

TEST(PortGate, KeepsToTheShare) {
  // 5 % of 1 Gb/s is 6.25 MB/s.
  PortGate gate({.share = 0.05, .burst_bytes = 1'000'000});
  MonotonicTime now = MonotonicNow();
  uint64_t passed = 0;
  for (int tenth = 0; tenth < 1000; ++tenth)
    if (gate.TryEnter("eth0", kGigabit, 1'000'000, now + tenth * std::chrono::milliseconds(100)).ok())
      passed += 1'000'000;
  EXPECT_NEAR(static_cast<double>(passed), 6.25e6 * 100, 10e6);
}

TEST(PortGate, SaysWhenToComeBack) {
  PortGate gate({.share = 0.05, .burst_bytes = 10'000'000});
  MonotonicTime now = MonotonicNow();
  EXPECT_TRUE(gate.TryEnter("eth0", kGigabit, 10'000'000, now).ok());
  auto later = gate.TryEnter("eth0", kGigabit, 6'250'000, now).status();
  EXPECT_TRUE(absl::IsResourceExhausted(later));
  EXPECT_NE(later.message().find("free again in 1.0 s"), absl::string_view::npos) << later;
  EXPECT_TRUE(gate.TryEnter("eth0", kGigabit, 6'250'000, now + std::chrono::milliseconds(1001)).ok());
}

TEST(PortGate, NeverLetsMoreThanTheBurstIn) {
  PortGate gate({.share = 0.05, .burst_bytes = 10'000'000});
  EXPECT_TRUE(absl::IsResourceExhausted(gate.TryEnter("eth0", kGigabit, 10'000'001).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(gate.TryEnter("eth0", kGigabit, UINT64_MAX).status()));
}

}  // namespace
}  // namespace netsense
