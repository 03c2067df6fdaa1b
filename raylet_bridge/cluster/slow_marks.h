// Which OK edges are slow beside others of their class. Slow is a mark and no state: the figure is true, and stays.
//
// A class is what should be alike: one transport over one fabric, between ports of one speed (what the two ends could
// carry), on whichever rail; what lies between two rails is a class of its own. An edge is slow by base/slow_rules.h,
// against
//   the median of its class; where one node is an end of more than half of its edges, as among three nodes, that node
//   alone could spoil the median: then against the best one;
//   what its ports could carry, or the best of the class where that is less, where another edge of the class reaches
//   its share of it: one TCP stream rarely fills a fast port, and where none does nobody is slow for it.
//
// Chance makes nobody slow: a stream of a millisecond loses one time slice of a busy host, and two of three of them
// make a median. A bandwidth counts from kFewestProbes on (or a whole window), a round trip from kFewestPings within
// kShortestSpanMs on. Of its window's median and the smoothed figure (and of round trips the median of the last ten
// minutes) an edge is judged by the better, and the others, which it is compared with, by the worse; a bandwidth is
// slow only once the smoothed figure has come down to the median: after some six rounds. A round trip is late only
// beyond what 9 of 10 of a usual edge's take anyway (where the best one is the measure: of the second best's, so that
// the two ways of one wire say nothing of each other). And there even its best has to be bad: the quickest round trip
// of the last ten minutes, the fastest of the last 20 streams. Among three nodes there are few others, so chance is
// large, and on a busy host the threads of one session may wake late, and get half of what others get, for minutes.
// What turns slow there is called so after 20 rounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/slow_rules.h"
#include "raylet_bridge/records/report.h"

namespace netsense {

// How many times worse than usual the windows' medians are; 0 = not slow.
struct SlowMark {
  double bandwidth_times = 0, rtt_times = 0;
  const std::string* words = nullptr;  // beside what, never empty; null = not slow. Lives as long as the SlowMarks

  bool any() const { return words != nullptr; }
};

// First every edge is shown to Add, then Conclude, then Lookups say what holds of each, from any thread.
class SlowMarks {
  struct Class;

 public:
  static constexpr int64_t kFewestProbes = 3, kFewestPings = 16, kShortestSpanMs = 200'000;

  // Of an edge that is OK, between the nodes at these places. `since_ms`: how long ago it was reported.
  void Add(const ReportEdge& edge, size_t src, size_t dst, int64_t since_ms);
  void Conclude();

  // Used by one thread, and no longer than the SlowMarks and the edges that it is asked for.
  class Lookup {
   public:
    explicit Lookup(const SlowMarks& marks) : marks_(marks) {}
    SlowMark Of(const ReportEdge& edge, int64_t since_ms);

   private:
    const SlowMarks& marks_;
    // Neighbours are mostly of one class.
    const ReportEdge* last_edge_ = nullptr;
    const Class* last_class_ = nullptr;
  };

 private:
  // Transport, fabric, cross-rail, what it could carry in Mb/s (0 = not known).
  using Key = std::tuple<std::string, std::string, bool, double>;

  // What is usual of one figure.
  struct Usual {
    std::vector<float> values;
    std::vector<uint32_t> edges_of;  // by node
    double value = 0;                // 0 = nothing to compare with
    double best = 0;
    bool is_best = false;  // `value` is

    void Add(double figure, size_t src, size_t dst);
    // `place_of_few`: which one counts, from the best on, where one node could spoil the median.
    void Conclude(bool high_is_better, size_t place_of_few);
    const char* Name() const { return is_best ? "best" : "median"; }
  };
  struct Class {
    Usual bandwidth_mbps, rtt_ms, noise_ms;  // noise: the 90th percentile of round trips
    bool reaches_expected = false;
    std::string slow_words, late_words, both_words;
  };

  static Key KeyOf(const ReportEdge& edge);
  static bool OfOneClass(const ReportEdge& a, const ReportEdge& b);
  SlowMark Judge(const ReportEdge& edge, const Class& of, int64_t since_ms) const;

  const SlowRules rules_{};
  std::map<Key, Class> classes_;
  const ReportEdge* last_edge_ = nullptr;
  Class* last_class_ = nullptr;
};

}  // namespace netsense
