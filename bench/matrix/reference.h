// What a pair is compared with: what is usual in its class, for one metric over one transport. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/matrix/looks.h"

namespace netsense::matrix {

// The median of the class, which holds as long as more than half of its pairs are good. Where one node is in more than
// half of them, as among three nodes, that node alone can spoil the median: then the best one.
struct Reference {
  double value = 0;  // Gb/s or us; 0 = none
  bool is_best = false;
  double p90_us = 0;  // usual 90th percentile of round trips; 0 = not known
  // Whether one node is in all of its pairs: were that node bad, nothing here would show it.
  bool of_one_node = true;

  const char* Name() const { return is_best ? "best" : "median"; }
};

class References {
 public:
  References(Metric metric, const std::vector<FirstLook>& looks);

  // By the look's clock, or by all of them where it has none.
  Reference OfClass(const FirstLook& look) const { return Find(by_class_, look.link_class, look.clock); }
  // Of all its fabric's pairs, whatever their link speeds are; and, of full round trips, whatever their clocks are.
  Reference OfFabric(const FirstLook& look) const { return Find(by_fabric_, look.fabric, look.clock); }
  Reference OfFabricByAnyClock(const FirstLook& look) const { return Find(by_fabric_, look.fabric, ""); }

 private:
  using ByNameAndClock = std::map<std::pair<std::string, std::string>, Reference>;
  static Reference Find(const ByNameAndClock& references, const std::string& name, const std::string& clock);

  ByNameAndClock by_class_, by_fabric_;
};

}  // namespace netsense::matrix
