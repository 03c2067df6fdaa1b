// What rows of measurements say of each pair, for one metric over one transport.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/matrix/nodes.h"
#include "bench/matrix/plan.h"

namespace netsense::matrix {

enum class Metric { kBandwidth, kRtt };

// One look at a pair: Gb/s of the slower direction, or microseconds of the median network round trip. With neither a
// value nor a failure too little arrived for a figure.
struct Look {
  std::optional<double> value;
  std::string failure;  // why there is no value: as bad as can be
};

struct FirstLook {
  Pair pair;
  std::string link_class;  // transport, fabric and link speed, in words
  std::optional<double> expected_gbps;
  Look look;
  std::string clock = {};   // of round trips, which are compared with those by the same clock; empty = not known
  std::string fabric = {};  // transport and fabric: what classes that differ in link speed alone have in common
  std::optional<double> other_way_gbps = {};  // of the faster direction
  std::optional<double> p90_us = {};          // of the pair's round trips
  // Of its full round trips, which every clock sees alike, p50 and p90.
  std::optional<double> full_us = {}, full_p90_us = {};
};

// Of each pair the median over its repeats. Rows of measurements that failed for a reason other than the network are
// left out, and those with a node that is not alive. A pair that lost more than kMostLost of its pings failed.
inline constexpr double kMostLost = 0.01;
std::vector<FirstLook> LooksOf(const std::vector<nlohmann::json>& rows, const std::vector<Node>& nodes,
                               const std::string& transport, Metric metric);

// Why a measurement failed, if the network was not the reason.
std::optional<std::string> FailureOfItsOwn(const nlohmann::json& row);

}  // namespace netsense::matrix
