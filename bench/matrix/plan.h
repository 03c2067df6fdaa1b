// Who is measured with whom, in which order, and what it will cost. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace netsense::matrix {

// Two nodes by their index, the smaller one first: it is the one that measures.
struct Pair {
  int a = 0;
  int b = 0;
  auto operator<=>(const Pair&) const = default;
};
Pair MakePair(int x, int y);

// The circle method: every pair of `nodes` once, nobody twice in a round. An even number n gives n-1 rounds of n/2
// pairs; an odd one n rounds of (n-1)/2, each with another node at rest. Fewer than two give none.
std::vector<std::vector<Pair>> CircleRounds(const std::vector<int>& nodes);

// What one pair costs over one transport.
struct Load {
  uint64_t pings = 0;  // with the warm-up; 0 = none
  uint32_t ping_bytes = 0;
  // Of one stream, of which there are two (one each way); neither = none.
  std::optional<uint64_t> stream_bytes;
  std::optional<double> stream_seconds;
};

struct Estimate {
  uint64_t pairs = 0;  // each once, however many rounds it is in
  uint64_t rounds = 0;
  uint64_t bytes = 0;  // payload, of all pairs and transports
  double seconds = 0;
  bool assumed_speed = false;  // no port says how fast it is: kAssumedGbps
};
inline constexpr double kAssumedGbps = 10;
// `slowest_gbps`: link rate of the slowest port that is known.
Estimate EstimateOf(const std::vector<std::vector<Pair>>& rounds, size_t transports, const Load& load,
                    std::optional<double> slowest_gbps);
// Of one measurement alone.
double PingSeconds(const Load& load);
double StreamSeconds(const Load& load, std::optional<double> slowest_gbps);

}  // namespace netsense::matrix
