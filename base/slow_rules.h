// When a figure is slow beside what is usual in its class: one rule for the live mesh and for `netsense-bench matrix`.
#pragma once

namespace netsense {

struct SlowRules {
  double slow_below = 0.5;  // bandwidth: this share of the usual, or of the expected rate
  double rtt_factor = 3;    // round trip: this many times the usual ...
  double least_rtt_us = 5;  // ... and at least so much more, which a few switches and a longer cable explain

  bool IsSlow(double rate, double usual) const { return rate < slow_below * usual; }
  // `noise_us`: what 9 of 10 round trips of a usual pair take anyway: some us by RDMA, hundreds by gRPC on a busy host.
  bool IsLate(double us, double usual_us, double noise_us) const {
    return usual_us > 0 && us > rtt_factor * usual_us && us > noise_us && us >= usual_us + least_rtt_us;
  }
};

}  // namespace netsense
