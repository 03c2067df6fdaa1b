// Which node or which link is to blame for the pairs that are bad, for one metric over one transport.
//
// A pair is bad when it is worse than the median of its class, or than what it could carry, by more than the rules
// allow. Nothing is blamed on one look: while the others were measured too, noise may have been the reason. So a bad
// pair is looked at again, alone; the ends of those that stay bad are looked at with a partner that is known to be
// good, alone. Then
//   a node is to blame when it is bad with most of the others and also with the good partner,
//   a link when both its ends are good with others, and only together they are bad,
//   a path when nobody can tell: there is no good partner, or looks contradict each other.
// What a node explains is blamed on no link and on no partner. More than half of a class has to be good.
//
// Pure: the caller does the looking.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/matrix/plan.h"

namespace netsense::matrix {

enum class Metric { kBandwidth, kRtt };

struct Rules {
  double slow_below = 0.5;    // bandwidth: this share of the median, or of the expected rate
  double rtt_factor = 3;      // round trip: this many times the median ...
  double rtt_floor_us = 100;  // ... and at least so much more
};

// One look at a pair: Gb/s of the slower direction, or microseconds of the median network round trip.
struct Look {
  std::optional<double> value;
  std::string failure;  // why there is no value: as bad as can be
};

struct FirstLook {
  Pair pair;
  std::string link_class;  // transport, fabric and link speed, in words
  std::optional<double> expected_gbps;
  Look look;
};

enum class Blame { kNode, kLink, kPath };

struct Suspect {
  Blame what = Blame::kNode;
  std::vector<int> nodes;  // one for a node, both ends of a link, all ends of paths
  std::optional<double> measured = {}, class_median = {}, expected = {};
  std::vector<std::string> evidence = {};
};

class Verdict {
 public:
  // `names` of all nodes, by index.
  Verdict(Metric metric, Rules rules, std::vector<std::string> names, const std::vector<FirstLook>& looks);

  // The pair to be looked at next, alone; none when the verdict stands. Each is answered by Add() or Forget().
  std::optional<Pair> NextLook() const;
  void Add(Pair pair, const Look& look);
  // A node that has died is no part of the verdict any more.
  void Forget(int node);

  std::vector<Suspect> Suspects() const;

 private:
  struct Known {
    FirstLook first;
    std::optional<Look> alone;
    double median = 0;  // of its class; 0 = no figure in it
  };
  struct Partner {
    int node = 0;
    Look look;
  };

  bool IsBad(const Known& known, const Look& look) const;
  bool BadAtFirst(const Known& known) const { return IsBad(known, known.first.look); }
  // Bad in both looks; or at first, and there is no need to look again because one end was bad with enough others.
  bool StaysBad(const Known& known) const;
  bool Condemned(int node) const;
  void Recount();
  std::set<int> NodesInQuestion() const;
  std::set<int> BadNodes() const;
  std::vector<Pair> PairsInQuestion() const;
  std::optional<int> GoodPartnerOf(int node) const;
  std::optional<bool> BadWithPartner(int node) const;
  const Known& At(Pair pair) const { return pairs_.at(pair); }

  std::string Words(const Look& look) const;
  std::string FirstWords(const Known& known) const;
  std::string PartnerWords(int node) const;
  Suspect Blaming(Blame what, std::vector<int> nodes, const std::vector<Pair>& pairs) const;

  const Metric metric_;
  const Rules rules_;
  const std::vector<std::string> names_;
  std::map<Pair, Known> pairs_;
  std::map<int, int> bad_alone_;     // looks that were bad again, by node
  std::map<int, Partner> partners_;  // looks with a good partner, by the node in question
};

}  // namespace netsense::matrix
