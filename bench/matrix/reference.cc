#include "bench/matrix/reference.h"

#include <algorithm>

namespace netsense::matrix {
namespace {

struct Group {
  std::vector<double> values, p90s;
  double other_way = 0;  // the best of the faster directions
  std::map<int, size_t> pairs_of;

  void Add(const FirstLook& look, double value, std::optional<double> p90) {
    values.push_back(value);
    if (p90) p90s.push_back(*p90);
    other_way = std::max(other_way, look.other_way_gbps.value_or(0));
    for (int end : {look.pair.a, look.pair.b}) ++pairs_of[end];
  }

  // From the best on; of an even number the better one of the two in the middle, so that one bad node among four is
  // still an exception.
  static double At(std::vector<double> all, bool best, Metric metric) {
    if (all.empty()) return 0;
    std::sort(all.begin(), all.end());
    if (metric == Metric::kBandwidth) std::reverse(all.begin(), all.end());
    return best ? all.front() : all[(all.size() - 1) / 2];
  }

  Reference ReferenceOf(Metric metric) const {
    size_t most = 0;
    for (const auto& [node, pairs] : pairs_of) most = std::max(most, pairs);
    Reference reference{.is_best = 2 * most > values.size(), .of_one_node = most == values.size()};
    reference.value = At(values, reference.is_best, metric);
    reference.p90_us = At(p90s, reference.is_best, Metric::kRtt);
    // A link carries as much one way as the other: where there are no others, that is what tells.
    if (reference.of_one_node) reference.value = std::max(reference.value, other_way);
    return reference;
  }
};

}  // namespace

References::References(Metric metric, const std::vector<FirstLook>& looks) {
  using Groups = std::map<std::pair<std::string, std::string>, Group>;
  Groups classes, fabrics;
  for (const FirstLook& look : looks) {
    if (!look.look.value) continue;
    const double value = *look.look.value;
    classes[{look.link_class, look.clock}].Add(look, value, look.p90_us);
    fabrics[{look.fabric, look.clock}].Add(look, value, look.p90_us);
    if (look.clock.empty()) continue;
    classes[{look.link_class, ""}].Add(look, value, look.p90_us);
    fabrics[{look.fabric, ""}].Add(look, look.full_us.value_or(value), look.full_us ? look.full_p90_us : look.p90_us);
  }
  for (const auto& [key, group] : classes) by_class_[key] = group.ReferenceOf(metric);
  for (const auto& [key, group] : fabrics) by_fabric_[key] = group.ReferenceOf(metric);
}

Reference References::Find(const ByNameAndClock& references, const std::string& name, const std::string& clock) {
  auto found = references.find({name, clock});
  return found == references.end() ? Reference{} : found->second;
}

}  // namespace netsense::matrix
