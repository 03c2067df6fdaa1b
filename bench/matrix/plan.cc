#include "bench/matrix/plan.h"

#include <algorithm>
#include <set>

namespace netsense::matrix {
namespace {

constexpr double kSetupSeconds = 0.02;  // a measurement's connections and hellos
constexpr double kPingSeconds = 100e-6;
constexpr int kBye = -1;

}  // namespace

Pair MakePair(int x, int y) { return {std::min(x, y), std::max(x, y)}; }

std::vector<std::vector<Pair>> CircleRounds(const std::vector<int>& nodes) {
  std::vector<std::vector<Pair>> rounds;
  if (nodes.size() < 2) return rounds;
  std::vector<int> circle = nodes;
  if (circle.size() % 2 == 1) circle.push_back(kBye);
  const size_t n = circle.size();
  for (size_t round = 0; round + 1 < n; ++round) {
    std::vector<Pair>& pairs = rounds.emplace_back();
    for (size_t i = 0; i < n / 2; ++i) {
      int x = circle[i], y = circle[n - 1 - i];
      if (x != kBye && y != kBye) pairs.push_back(MakePair(x, y));
    }
    // The first one stays, the others move on by a place.
    std::rotate(circle.begin() + 1, circle.end() - 1, circle.end());
  }
  return rounds;
}

double PingSeconds(const Load& load) {
  return load.pings == 0 ? 0 : kSetupSeconds + kPingSeconds * static_cast<double>(load.pings);
}

double StreamSeconds(const Load& load, std::optional<double> slowest_gbps) {
  if (load.stream_seconds) return kSetupSeconds + *load.stream_seconds;
  if (!load.stream_bytes) return 0;
  return kSetupSeconds + static_cast<double>(*load.stream_bytes) * 8 / (slowest_gbps.value_or(kAssumedGbps) * 1e9);
}

Estimate EstimateOf(const std::vector<std::vector<Pair>>& rounds, size_t transports, const Load& load,
                    std::optional<double> slowest_gbps) {
  Estimate estimate;
  std::set<Pair> pairs;
  size_t measured = 0;
  for (const auto& round : rounds) {
    if (round.empty()) continue;
    ++estimate.rounds;
    measured += round.size();
    pairs.insert(round.begin(), round.end());
  }
  estimate.pairs = pairs.size();
  estimate.assumed_speed = !slowest_gbps && (load.stream_bytes || load.stream_seconds);
  const double gbps = slowest_gbps.value_or(kAssumedGbps);
  double stream_bytes = 0;
  if (load.stream_seconds) stream_bytes = *load.stream_seconds * gbps * 1e9 / 8;
  if (load.stream_bytes) stream_bytes = static_cast<double>(*load.stream_bytes);
  const double pair_bytes = 2 * stream_bytes + 2.0 * static_cast<double>(load.pings) * load.ping_bytes;
  const double runs = static_cast<double>(transports);
  estimate.bytes = static_cast<uint64_t>(static_cast<double>(measured) * runs * pair_bytes);
  estimate.seconds =
      static_cast<double>(estimate.rounds) * runs * (PingSeconds(load) + 2 * StreamSeconds(load, slowest_gbps));
  return estimate;
}

}  // namespace netsense::matrix
