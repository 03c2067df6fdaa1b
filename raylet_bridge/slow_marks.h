// Which OK edges are slow beside others of their class. Slow is a mark and no state: the figure is true, and stays.
//
// A class is what should be alike: one transport over one fabric, between ports of one speed (what the two ends could
// carry), on whichever rail; what lies between two rails is a class of its own. An edge is slow by base/slow_rules.h,
// against
//   the median of its class; where one node is an end of more than half of its edges, as among three nodes, that node
//   alone could spoil the median: then against the best one;
//   what its ports could carry, where another edge of the class reaches that share of it: one TCP stream rarely fills a
//   fast port, and where none does nobody is slow for it.
// One figure by chance makes nobody slow: a bandwidth counts from kFewestProbes on (or a whole window), a round trip
// from kFewestPings on. Of its window's median and the smoothed figure (and of round trips the median of the last ten
// minutes, for a window of five tells how busy a host was) an edge is judged by the better, and the others, which it is
// compared with, by the worse. A round trip is late only beyond what 9 of 10 of a usual edge's take anyway.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/slow_rules.h"
#include "raylet_bridge/report.h"

namespace netsense {

// How many times worse than usual; 0 = not slow.
struct SlowMark {
  double bandwidth_times = 0, rtt_times = 0;
  const std::string* words = nullptr;  // beside what, never empty; null = not slow. Lives as long as the SlowMarks

  bool any() const { return words != nullptr; }
};

// First every edge is shown to Add, then Conclude, then Of says what holds of each.
class SlowMarks {
 public:
  static constexpr int64_t kFewestProbes = 3, kFewestPings = 16;

  // Of an edge that is OK, between the nodes at these places. `since_ms`: how long ago it was reported.
  void Add(const ReportEdge& edge, size_t src, size_t dst, int64_t since_ms);
  void Conclude();
  SlowMark Of(const ReportEdge& edge, int64_t since_ms) const;

 private:
  // Transport, fabric, cross-rail, what it could carry in Mb/s (0 = not known).
  using Key = std::tuple<std::string, std::string, bool, double>;

  // What is usual of one figure.
  struct Usual {
    std::vector<float> values;
    std::unordered_map<size_t, size_t> edges_of;  // by node
    double value = 0;                             // 0 = nothing to compare with
    bool is_best = false;

    void Add(double value, size_t src, size_t dst);
    void Conclude(bool high_is_better);
    const char* Name() const { return is_best ? "best" : "median"; }
  };
  struct Class {
    Usual bandwidth_mbps, rtt_ms, noise_ms;  // noise: the 90th percentile of round trips
    bool reaches_expected = false;
    std::string slow_words, late_words, both_words;
  };

  static Key KeyOf(const ReportEdge& edge);
  const Class* Find(const ReportEdge& edge) const;

  const SlowRules rules_;
  std::map<Key, Class> classes_;
  // Neighbours are mostly of one class.
  const ReportEdge* last_edge_ = nullptr;
  Class* last_class_ = nullptr;
};

}  // namespace netsense
