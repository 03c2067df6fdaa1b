// Which node or which link is to blame for the pairs that are bad, for one metric over one transport.
//
// A pair is bad when it is worse than what is usual in its class (reference.h), or than what it could carry, by more
// than the rules allow. Nothing is blamed on one look: while the others were measured too, noise may have been the
// reason. So a bad pair is looked at again, alone; the ends of those that stay bad are looked at with a partner that is
// known to be good, alone. Then
//   a node is to blame when it is bad with most of the others and also with the good partner,
//   a link when both its ends are good with others, and only together they are bad,
//   a path when nobody can tell: there is no good partner, or looks contradict each other.
// What a node explains is blamed on no link and on no partner. More than half of a class has to be good.
//
// A pair is not judged when it is not bad, yet nothing would show it if it were: there is no figure; or all pairs of
// its class, by its clock, have one node in common, what they could carry is not known, and it is not as good as its
// fabric's others either, which may have a faster link or a nearer clock.
//
// Where no pair of a class (of three pairs or more) reaches the allowed share of what it could carry, as with one
// stream over fast ports, that share tells no pair from another: the class is one suspect, a path, and its pairs are
// judged by the median alone.
//
// Pure: the caller does the looking.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/slow_rules.h"
#include "bench/matrix/looks.h"
#include "bench/matrix/plan.h"
#include "bench/matrix/reference.h"

namespace netsense::matrix {

enum class Blame { kNode, kLink, kPath };

struct Suspect {
  Blame what = Blame::kNode;
  std::vector<int> nodes;  // one for a node, both ends of a link, all ends of paths
  std::optional<double> measured = {}, usual = {}, expected = {};  // usual: the median of the class, or its best
  std::vector<std::string> evidence = {};
};

class BlameSearch {
 public:
  // `names` of all nodes, by index.
  BlameSearch(Metric metric, SlowRules rules, std::vector<std::string> names, const std::vector<FirstLook>& looks);

  // The pair to be looked at next, alone; none when the search is over. Each is answered by Add(), Drop() or Forget().
  std::optional<Pair> NextLook() const { return conclusion_.next; }
  void Add(Pair pair, const Look& look);
  // A pair that could not be looked at again, for a reason that says nothing of it, is no part of the search any more.
  void Drop(Pair pair);
  // Nor is a node that has died.
  void Forget(int node);

  // Pairs of which nobody can say whether they are good.
  std::vector<Pair> NotJudged() const;
  // When there is no next look.
  std::vector<Suspect> Suspects() const;

 private:
  struct Known {
    FirstLook first;
    std::optional<Look> alone;
    Reference reference;
    bool comparable = false;   // were it bad, that would show
    bool falls_short = false;  // as its whole class does
  };
  struct Partner {
    int node = 0;
    Look look;
  };
  // What follows from all looks so far.
  struct Conclusion {
    std::optional<Pair> next;
    bool next_is_alone = false;  // or with a partner
    // Bad in both looks; or at first, and there is no need to look again because one end was bad with enough others.
    std::set<Pair> stay_bad;
    std::vector<int> bad_of;     // by node: pairs that stay bad
    std::vector<int> bad_alone;  // by node: looks alone that were bad, and that no bad node at the other end explains
    std::set<int> in_question, bad_nodes;
  };

  Conclusion Conclude() const;
  void CountBadAlone(Conclusion* conclusion) const;
  std::optional<Pair> NextAlone(const Conclusion& conclusion) const;
  void FindWhatStaysBad(Conclusion* conclusion) const;
  std::set<int> FindNodesInQuestion(const Conclusion& conclusion) const;
  std::optional<Pair> NextWithPartner(const std::set<int>& nodes, const Conclusion& conclusion) const;
  // Bad with so many others that the rest needs no second look.
  bool Condemned(int node, const Conclusion& conclusion) const;
  std::vector<Pair> PairsInQuestion(const Conclusion& conclusion) const;
  std::optional<int> GoodPartnerOf(int node, const Conclusion& conclusion) const;

  bool IsWorse(double value, double usual, double usual_p90_us) const;
  bool IsBad(const Known& known, const Look& look) const;
  bool StaysBad(Pair pair) const { return conclusion_.stay_bad.contains(pair); }
  std::optional<bool> BadWithPartner(int node) const;
  // All looks alone are alike: what its ends have with others then, when the first looks met a better moment.
  bool AsGoodAsWithPartners(Pair pair) const;
  const Known& At(Pair pair) const { return pairs_.at(pair); }
  void Erase(const std::vector<Pair>& pairs);

  std::string Words(const Look& look) const;
  std::string FirstWords(const Known& known) const;
  std::string PartnerWords(int node) const;
  std::vector<Suspect> ClassesThatFallShort() const;
  Suspect Blaming(Blame what, std::vector<int> nodes, const std::vector<Pair>& pairs) const;

  const Metric metric_;
  const SlowRules rules_;
  const std::vector<std::string> names_;
  std::map<Pair, Known> pairs_;
  std::vector<int> pairs_of_;        // how many of them, by node
  std::vector<Pair> bad_at_first_;   // of them, in order
  std::map<int, Partner> partners_;  // looks with a good partner, by the node in question
  Conclusion conclusion_;            // anew after each look, but for the bad nodes that are known
};

}  // namespace netsense::matrix
