#include "bench/matrix/blame_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace netsense::matrix {
namespace {

// Partners with whom a node was bad, alone; more of them when a good partner has shown that it is not the node.
constexpr int kEnoughToCondemn = 4, kEnoughAllTheSame = 16;
constexpr size_t kMostEvidence = 8;      // lines about pairs
constexpr size_t kLeastToFallShort = 3;  // pairs of a class

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool Touches(const Pair& pair, int node) { return pair.a == node || pair.b == node; }
int OtherEnd(const Pair& pair, int node) { return pair.a == node ? pair.b : pair.a; }

}  // namespace

BlameSearch::BlameSearch(Metric metric, SlowRules rules, std::vector<std::string> names,
                         const std::vector<FirstLook>& looks)
    : metric_(metric), rules_(rules), names_(std::move(names)), pairs_of_(names_.size()) {
  const References references(metric, looks);
  std::map<std::string, size_t> short_pairs;
  std::set<std::string> reaching;  // classes of which at least one pair carries about what it could
  for (const FirstLook& look : looks) {
    if (metric != Metric::kBandwidth || !look.look.value) continue;
    if (*look.look.value < rules_.slow_below * look.expected_gbps.value_or(0))
      ++short_pairs[look.link_class];
    else
      reaching.insert(look.link_class);
  }
  for (const FirstLook& look : looks) {
    Known known{.first = look, .alone = {}, .reference = references.OfClass(look)};
    // How long a round trip takes is no matter of the link's speed.
    if (const Reference fabric = references.OfFabric(look);
        metric == Metric::kRtt && known.reference.of_one_node && !fabric.of_one_node)
      known.reference = fabric;
    // What is as good as others that are better off, by a faster link or a nearer clock, is good.
    const Reference others = references.OfFabricByAnyClock(look);
    const std::optional<double> value = look.full_us ? look.full_us : look.look.value;
    known.comparable = !known.reference.of_one_node || look.expected_gbps ||
                       (!others.of_one_node && look.look.value && !IsWorse(*value, others.value, others.p90_us));
    known.falls_short = short_pairs[look.link_class] >= kLeastToFallShort && !reaching.contains(look.link_class);
    pairs_[look.pair] = std::move(known);
  }
  for (const auto& [pair, known] : pairs_) {
    for (int end : {pair.a, pair.b}) ++pairs_of_[static_cast<size_t>(end)];
    if (IsBad(known, known.first.look)) bad_at_first_.push_back(pair);
  }
  conclusion_ = Conclude();
}

bool BlameSearch::IsWorse(double value, double usual, double usual_p90_us) const {
  return metric_ == Metric::kBandwidth ? rules_.IsSlow(value, usual) : rules_.IsLate(value, usual, usual_p90_us);
}

bool BlameSearch::IsBad(const Known& known, const Look& look) const {
  if (!look.value) return !look.failure.empty();
  const double expected = known.falls_short ? 0 : known.first.expected_gbps.value_or(0);
  return IsWorse(*look.value, std::max(known.reference.value, expected), known.reference.p90_us);
}

std::vector<Pair> BlameSearch::NotJudged() const {
  std::vector<Pair> pairs;
  for (const auto& [pair, known] : pairs_) {
    const bool has_figure = known.alone ? known.alone->value.has_value() : known.first.look.value.has_value();
    if (!StaysBad(pair) && (!known.comparable || !has_figure)) pairs.push_back(pair);
  }
  return pairs;
}

void BlameSearch::CountBadAlone(Conclusion* conclusion) const {
  const std::set<int>& bad_nodes = conclusion->bad_nodes;
  conclusion->bad_alone.assign(names_.size(), 0);
  for (const Pair& pair : bad_at_first_) {
    const Known& known = At(pair);
    if (!known.alone || !IsBad(known, *known.alone)) continue;
    for (int end : {pair.a, pair.b})
      if (bad_nodes.contains(end) || !bad_nodes.contains(OtherEnd(pair, end)))
        ++conclusion->bad_alone[static_cast<size_t>(end)];
  }
}

bool BlameSearch::Condemned(int node, const Conclusion& conclusion) const {
  const bool good_with_partner = !BadWithPartner(node).value_or(true);
  return conclusion.bad_alone[static_cast<size_t>(node)] >= (good_with_partner ? kEnoughAllTheSame : kEnoughToCondemn);
}

std::optional<Pair> BlameSearch::NextAlone(const Conclusion& conclusion) const {
  for (const Pair& pair : bad_at_first_)
    if (!At(pair).alone && !Condemned(pair.a, conclusion) && !Condemned(pair.b, conclusion)) return pair;
  return {};
}

void BlameSearch::FindWhatStaysBad(Conclusion* conclusion) const {
  conclusion->stay_bad.clear();
  conclusion->bad_of.assign(names_.size(), 0);
  for (const Pair& pair : bad_at_first_) {
    const Known& known = At(pair);
    const bool stays_bad =
        known.alone ? IsBad(known, *known.alone) : Condemned(pair.a, *conclusion) || Condemned(pair.b, *conclusion);
    if (!stays_bad) continue;
    conclusion->stay_bad.insert(conclusion->stay_bad.end(), pair);
    for (int end : {pair.a, pair.b}) ++conclusion->bad_of[static_cast<size_t>(end)];
  }
}

// The nodes that would explain most of what stays bad: each is bad with more than half of its partners, those left out
// that an earlier one explains.
std::set<int> BlameSearch::FindNodesInQuestion(const Conclusion& conclusion) const {
  std::set<int> found;
  std::vector<int> all = pairs_of_, bad = conclusion.bad_of;
  while (true) {
    std::optional<size_t> worst;
    for (size_t i = 0; i < bad.size(); ++i)
      if (bad[i] >= 2 && 2 * bad[i] > all[i] && (!worst || bad[i] > bad[*worst])) worst = i;
    if (!worst) return found;
    const int node = static_cast<int>(*worst);
    for (size_t i = 0; i < bad.size(); ++i) {
      const Pair pair = MakePair(node, static_cast<int>(i));
      if (!pairs_.contains(pair) || found.contains(static_cast<int>(i))) continue;
      --all[i];
      if (conclusion.stay_bad.contains(pair)) --bad[i];
    }
    all[*worst] = bad[*worst] = 0;
    found.insert(node);
  }
}

std::optional<int> BlameSearch::GoodPartnerOf(int node, const Conclusion& conclusion) const {
  std::optional<int> best;
  std::tuple<bool, int> best_rank;
  for (size_t i = 0; i < names_.size(); ++i) {
    const int partner = static_cast<int>(i);
    const Pair pair = MakePair(node, partner);
    if (!pairs_.contains(pair)) continue;
    const bool bad = conclusion.stay_bad.contains(pair);
    // One with whom it was good has shown that neither of them is to blame for all.
    if (bad && (conclusion.in_question.contains(partner) || conclusion.bad_of[i] == pairs_of_[i])) continue;
    std::tuple<bool, int> rank{bad, conclusion.bad_of[i]};
    if (!best || rank < best_rank) {
      best = partner;
      best_rank = rank;
    }
  }
  return best;
}

std::optional<bool> BlameSearch::BadWithPartner(int node) const {
  auto partner = partners_.find(node);
  if (partner == partners_.end()) return {};
  return IsBad(At(MakePair(node, partner->second.node)), partner->second.look);
}

bool BlameSearch::AsGoodAsWithPartners(Pair pair) const {
  const auto a = partners_.find(pair.a), b = partners_.find(pair.b);
  const std::optional<Look>& alone = At(pair).alone;
  if (a == partners_.end() || b == partners_.end() || !alone || !alone->value) return false;
  const std::optional<double> x = a->second.look.value, y = b->second.look.value;
  if (!x || !y) return false;
  return !IsWorse(*alone->value, metric_ == Metric::kRtt ? std::max(*x, *y) : std::min(*x, *y), 0);
}

std::vector<Pair> BlameSearch::PairsInQuestion(const Conclusion& conclusion) const {
  const std::set<int>& bad_nodes = conclusion.bad_nodes;
  std::vector<Pair> pairs;
  for (const Pair& pair : conclusion.stay_bad)
    if (!bad_nodes.contains(pair.a) && !bad_nodes.contains(pair.b)) pairs.push_back(pair);
  return pairs;
}

std::optional<Pair> BlameSearch::NextWithPartner(const std::set<int>& nodes, const Conclusion& conclusion) const {
  for (int node : nodes) {
    if (partners_.contains(node)) continue;
    if (auto partner = GoodPartnerOf(node, conclusion)) return MakePair(node, *partner);
  }
  return {};
}

BlameSearch::Conclusion BlameSearch::Conclude() const {
  Conclusion found;
  found.bad_nodes = conclusion_.bad_nodes;  // until a pair leaves: later looks were asked for because of them
  while (true) {
    CountBadAlone(&found);
    found.next = NextAlone(found);
    found.next_is_alone = found.next.has_value();
    if (found.next) return found;
    FindWhatStaysBad(&found);
    found.in_question = FindNodesInQuestion(found);
    found.next = NextWithPartner(found.in_question, found);
    if (found.next) return found;
    const size_t known = found.bad_nodes.size();
    for (int node : found.in_question)
      if (BadWithPartner(node).value_or(false)) found.bad_nodes.insert(node);
    if (found.bad_nodes.size() == known) break;
    // Those that were condemned only for having met these need to be looked at themselves.
  }
  std::set<int> ends;
  for (const Pair& pair : PairsInQuestion(found)) ends.insert({pair.a, pair.b});
  found.next = NextWithPartner(ends, found);
  return found;
}

void BlameSearch::Add(Pair pair, const Look& look) {
  auto found = pairs_.find(pair);
  if (found == pairs_.end()) return;
  if (conclusion_.next_is_alone && conclusion_.next == pair) {
    found->second.alone = look;
  } else {
    // A look with a partner: for the end whose partner is the other one.
    for (int end : {pair.a, pair.b}) {
      if (partners_.contains(end) || GoodPartnerOf(end, conclusion_) != OtherEnd(pair, end)) continue;
      partners_[end] = {OtherEnd(pair, end), look};
    }
  }
  conclusion_ = Conclude();
}

void BlameSearch::Erase(const std::vector<Pair>& pairs) {
  for (const Pair& pair : pairs) {
    if (pairs_.erase(pair) == 0) continue;
    for (int end : {pair.a, pair.b}) --pairs_of_[static_cast<size_t>(end)];
  }
  auto gone = [this](const Pair& pair) { return !pairs_.contains(pair); };
  std::erase_if(bad_at_first_, gone);
  std::erase_if(partners_, [&](const auto& entry) { return gone(MakePair(entry.first, entry.second.node)); });
  conclusion_.bad_nodes.clear();
  conclusion_ = Conclude();
}

void BlameSearch::Drop(Pair pair) { Erase({pair}); }

void BlameSearch::Forget(int node) {
  std::vector<Pair> pairs;
  for (const auto& [pair, known] : pairs_)
    if (Touches(pair, node)) pairs.push_back(pair);
  Erase(pairs);
}

std::string BlameSearch::Words(const Look& look) const {
  if (!look.value) return look.failure;
  return fmt::format("{:.3g} {}", *look.value, metric_ == Metric::kRtt ? "us" : "Gb/s");
}

std::string BlameSearch::FirstWords(const Known& known) const {
  const Pair& pair = known.first.pair;
  std::string words = fmt::format("{} - {}: {}", names_[pair.a], names_[pair.b], Words(known.first.look));
  const Reference& usual = known.reference;
  if (const auto& value = known.first.look.value; value && usual.value > 0) {
    if (known.first.other_way_gbps && *value < rules_.slow_below * *known.first.other_way_gbps)
      words += fmt::format(", and {:.3g} Gb/s the other way", *known.first.other_way_gbps);
    if (metric_ == Metric::kRtt)
      words += fmt::format(", {:.3g} times the {} of its class", *value / usual.value, usual.Name());
    else
      words += fmt::format(", {:.0f} % of the {} of its class", 100 * *value / usual.value, usual.Name());
  }
  if (known.first.look.value && known.first.expected_gbps)
    words +=
        fmt::format(", {:.0f} % of what it could carry", 100 * *known.first.look.value / *known.first.expected_gbps);
  if (known.alone) words += "; alone: " + Words(*known.alone);
  return words;
}

std::string BlameSearch::PartnerWords(int node) const {
  auto partner = partners_.find(node);
  if (partner == partners_.end()) return fmt::format("{}: there is no good partner to try it with", names_[node]);
  return fmt::format("{} with a good partner, {}: {} ({})", names_[node], names_[partner->second.node],
                     Words(partner->second.look), BadWithPartner(node).value() ? "bad" : "good");
}

Suspect BlameSearch::Blaming(Blame what, std::vector<int> nodes, const std::vector<Pair>& pairs) const {
  Suspect suspect{.what = what, .nodes = std::move(nodes)};
  std::vector<double> values;
  for (const Pair& pair : pairs) {
    const Known& known = At(pair);
    const Look& last = known.alone ? *known.alone : known.first.look;
    if (last.value) values.push_back(*last.value);
    if (known.reference.value > 0) suspect.usual = known.reference.value;
    if (known.first.expected_gbps && metric_ == Metric::kBandwidth) suspect.expected = known.first.expected_gbps;
    if (suspect.evidence.size() < kMostEvidence) suspect.evidence.push_back(FirstWords(known));
  }
  if (pairs.size() > kMostEvidence)
    suspect.evidence.push_back(fmt::format("and {} pairs more", pairs.size() - kMostEvidence));
  if (!values.empty()) suspect.measured = MedianOf(values);
  return suspect;
}

std::vector<Suspect> BlameSearch::ClassesThatFallShort() const {
  struct Class {
    std::set<int> ends;
    double best = 0, usual = 0;
    std::optional<double> expected;
  };
  std::map<std::string, Class> classes;
  for (const auto& [pair, known] : pairs_) {
    if (!known.falls_short) continue;
    Class& found = classes[known.first.link_class];
    found.ends.insert({pair.a, pair.b});
    found.best = std::max(found.best, known.first.look.value.value_or(0));
    found.usual = known.reference.value;
    found.expected = std::max(found.expected, known.first.expected_gbps);
  }
  std::vector<Suspect> suspects;
  for (const auto& [name, found] : classes)
    suspects.push_back(
        {.what = Blame::kPath,
         .nodes = {found.ends.begin(), found.ends.end()},
         .measured = found.usual,
         .usual = found.usual,
         .expected = found.expected,
         .evidence = {fmt::format("{}: the best pair carries {:.3g} Gb/s, {:.0f} % of what it could; more "
                                  "streams may carry more",
                                  name, found.best, 100 * found.best / found.expected.value_or(1))}});
  return suspects;
}

std::vector<Suspect> BlameSearch::Suspects() const {
  std::vector<Suspect> suspects;
  std::set<int> blamed;
  auto blame_node = [&](int node) {
    if (!blamed.insert(node).second) return;
    std::vector<Pair> bad;
    size_t all = 0;
    for (const auto& [pair, known] : pairs_) {
      if (!Touches(pair, node)) continue;
      ++all;
      if (StaysBad(pair)) bad.push_back(pair);
    }
    Suspect suspect = Blaming(Blame::kNode, {node}, bad);
    suspect.evidence.insert(suspect.evidence.begin(),
                            fmt::format("{} is bad with {} of {} partners", names_[node], bad.size(), all));
    suspect.evidence.push_back(PartnerWords(node));
    suspects.push_back(std::move(suspect));
  };
  for (int node : conclusion_.bad_nodes) blame_node(node);

  // What no node explains so far: a link, one of its ends after all, or nobody knows.
  std::vector<Pair> unclear;
  const std::vector<Pair> in_question = PairsInQuestion(conclusion_);
  for (const Pair& pair : in_question)
    for (int end : {pair.a, pair.b})
      if (BadWithPartner(end).value_or(false) && !BadWithPartner(OtherEnd(pair, end)).value_or(true)) blame_node(end);
  for (const Pair& pair : in_question) {
    if (blamed.contains(pair.a) || blamed.contains(pair.b)) continue;
    if (BadWithPartner(pair.a).value_or(true) || BadWithPartner(pair.b).value_or(true)) {
      unclear.push_back(pair);
      continue;
    }
    if (AsGoodAsWithPartners(pair)) continue;
    Suspect suspect = Blaming(Blame::kLink, {pair.a, pair.b}, {pair});
    suspect.evidence.push_back(PartnerWords(pair.a));
    suspect.evidence.push_back(PartnerWords(pair.b));
    suspects.push_back(std::move(suspect));
  }
  if (!unclear.empty()) {
    std::set<int> ends;
    for (const Pair& pair : unclear) ends.insert({pair.a, pair.b});
    Suspect suspect = Blaming(Blame::kPath, {ends.begin(), ends.end()}, unclear);
    for (int end : ends)
      if (suspect.evidence.size() < 2 * kMostEvidence) suspect.evidence.push_back(PartnerWords(end));
    suspects.push_back(std::move(suspect));
  }
  for (Suspect& suspect : ClassesThatFallShort()) suspects.push_back(std::move(suspect));
  return suspects;
}

}  // namespace netsense::matrix
