#include "bench/matrix/verdict.h"

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

Verdict::Verdict(Metric metric, SlowRules rules, std::vector<std::string> names, const std::vector<FirstLook>& looks)
    : metric_(metric), rules_(rules), names_(std::move(names)), pairs_of_(names_.size()), bad_of_(names_.size()) {
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
    known.bad_at_first = IsBad(known, look.look);
    pairs_[look.pair] = std::move(known);
  }
  for (const auto& [pair, known] : pairs_) {
    for (int end : {pair.a, pair.b}) ++pairs_of_[static_cast<size_t>(end)];
    if (known.bad_at_first) bad_at_first_.push_back(pair);
  }
  Conclude();
}

bool Verdict::IsWorse(double value, double usual, double usual_p90_us) const {
  return metric_ == Metric::kBandwidth ? rules_.IsSlow(value, usual) : rules_.IsLate(value, usual, usual_p90_us);
}

bool Verdict::IsBad(const Known& known, const Look& look) const {
  if (!look.value) return !look.failure.empty();
  const double expected = known.falls_short ? 0 : known.first.expected_gbps.value_or(0);
  return IsWorse(*look.value, std::max(known.reference.value, expected), known.reference.p90_us);
}

std::vector<Pair> Verdict::NotJudged() const {
  std::vector<Pair> pairs;
  for (const auto& [pair, known] : pairs_) {
    const bool has_figure = known.alone ? known.alone->value.has_value() : known.first.look.value.has_value();
    if (!known.stays_bad && (!known.comparable || !has_figure)) pairs.push_back(pair);
  }
  return pairs;
}

void Verdict::CountBadAlone() {
  bad_alone_.assign(names_.size(), 0);
  for (const Pair& pair : bad_again_)
    for (int end : {pair.a, pair.b})
      if (bad_nodes_.contains(end) || !bad_nodes_.contains(OtherEnd(pair, end))) ++bad_alone_[static_cast<size_t>(end)];
}

bool Verdict::Condemned(int node) const {
  const bool good_with_partner = !BadWithPartner(node).value_or(true);
  return bad_alone_[static_cast<size_t>(node)] >= (good_with_partner ? kEnoughAllTheSame : kEnoughToCondemn);
}

std::optional<Pair> Verdict::NextAlone() {
  for (; asked_ < bad_at_first_.size(); ++asked_) {
    const Pair& pair = bad_at_first_[asked_];
    if (!At(pair).alone && !Condemned(pair.a) && !Condemned(pair.b)) return pair;
  }
  return {};
}

void Verdict::FindWhatStaysBad() {
  bad_of_.assign(names_.size(), 0);
  for (const Pair& pair : bad_at_first_) {
    Known& known = pairs_.at(pair);
    known.stays_bad = known.alone ? IsBad(known, *known.alone) : Condemned(pair.a) || Condemned(pair.b);
    if (!known.stays_bad) continue;
    for (int end : {pair.a, pair.b}) ++bad_of_[static_cast<size_t>(end)];
  }
}

// The nodes that would explain most of what stays bad: each is bad with more than half of its partners, those left out
// that an earlier one explains.
std::set<int> Verdict::FindNodesInQuestion() const {
  std::set<int> found;
  std::vector<int> all = pairs_of_, bad = bad_of_;
  while (true) {
    std::optional<size_t> worst;
    for (size_t i = 0; i < bad.size(); ++i)
      if (bad[i] >= 2 && 2 * bad[i] > all[i] && (!worst || bad[i] > bad[*worst])) worst = i;
    if (!worst) return found;
    const int node = static_cast<int>(*worst);
    for (size_t i = 0; i < bad.size(); ++i) {
      auto pair = pairs_.find(MakePair(node, static_cast<int>(i)));
      if (pair == pairs_.end() || found.contains(static_cast<int>(i))) continue;
      --all[i];
      if (pair->second.stays_bad) --bad[i];
    }
    all[*worst] = bad[*worst] = 0;
    found.insert(node);
  }
}

std::optional<int> Verdict::GoodPartnerOf(int node) const {
  std::optional<int> best;
  std::tuple<bool, int> best_rank;
  for (size_t i = 0; i < names_.size(); ++i) {
    const int partner = static_cast<int>(i);
    auto found = pairs_.find(MakePair(node, partner));
    if (found == pairs_.end()) continue;
    const bool bad = found->second.stays_bad;
    // One with whom it was good has shown that neither of them is to blame for all.
    if (bad && (in_question_.contains(partner) || bad_of_[i] == pairs_of_[i])) continue;
    std::tuple<bool, int> rank{bad, bad_of_[i]};
    if (!best || rank < best_rank) {
      best = partner;
      best_rank = rank;
    }
  }
  return best;
}

std::optional<bool> Verdict::BadWithPartner(int node) const {
  auto partner = partners_.find(node);
  if (partner == partners_.end()) return {};
  return IsBad(At(MakePair(node, partner->second.node)), partner->second.look);
}

bool Verdict::AsGoodAsWithPartners(Pair pair) const {
  const auto a = partners_.find(pair.a), b = partners_.find(pair.b);
  const std::optional<Look>& alone = At(pair).alone;
  if (a == partners_.end() || b == partners_.end() || !alone || !alone->value) return false;
  const std::optional<double> x = a->second.look.value, y = b->second.look.value;
  if (!x || !y) return false;
  return !IsWorse(*alone->value, metric_ == Metric::kRtt ? std::max(*x, *y) : std::min(*x, *y), 0);
}

std::vector<Pair> Verdict::PairsInQuestion() const {
  std::vector<Pair> pairs;
  for (const Pair& pair : bad_at_first_)
    if (At(pair).stays_bad && !bad_nodes_.contains(pair.a) && !bad_nodes_.contains(pair.b)) pairs.push_back(pair);
  return pairs;
}

std::optional<Pair> Verdict::NextWithPartner(const std::set<int>& nodes) const {
  for (int node : nodes) {
    if (partners_.contains(node)) continue;
    if (auto partner = GoodPartnerOf(node)) return MakePair(node, *partner);
  }
  return {};
}

void Verdict::Conclude() {
  while (true) {
    CountBadAlone();
    next_ = NextAlone();
    next_is_alone_ = next_.has_value();
    if (next_) return;
    FindWhatStaysBad();
    in_question_ = FindNodesInQuestion();
    next_ = NextWithPartner(in_question_);
    if (next_) return;
    const size_t known = bad_nodes_.size();
    for (int node : in_question_)
      if (BadWithPartner(node).value_or(false)) bad_nodes_.insert(node);
    if (bad_nodes_.size() == known) break;
    // Those that were condemned only for having met these need to be looked at themselves.
    asked_ = 0;
  }
  std::set<int> ends;
  for (const Pair& pair : PairsInQuestion()) ends.insert({pair.a, pair.b});
  next_ = NextWithPartner(ends);
}

void Verdict::Add(Pair pair, const Look& look) {
  auto found = pairs_.find(pair);
  if (found == pairs_.end()) return;
  if (next_is_alone_ && next_ == pair) {
    found->second.alone = look;
    if (IsBad(found->second, look)) bad_again_.push_back(pair);
  } else {
    // A look with a partner: for the end whose partner is the other one.
    for (int end : {pair.a, pair.b}) {
      if (partners_.contains(end) || GoodPartnerOf(end) != OtherEnd(pair, end)) continue;
      partners_[end] = {OtherEnd(pair, end), look};
    }
    asked_ = 0;
  }
  Conclude();
}

void Verdict::Erase(const std::vector<Pair>& pairs) {
  for (const Pair& pair : pairs) {
    if (pairs_.erase(pair) == 0) continue;
    for (int end : {pair.a, pair.b}) --pairs_of_[static_cast<size_t>(end)];
  }
  auto gone = [this](const Pair& pair) { return !pairs_.contains(pair); };
  std::erase_if(bad_at_first_, gone);
  std::erase_if(bad_again_, gone);
  std::erase_if(partners_, [&](const auto& entry) { return gone(MakePair(entry.first, entry.second.node)); });
  bad_nodes_.clear();
  asked_ = 0;
  Conclude();
}

void Verdict::Drop(Pair pair) { Erase({pair}); }

void Verdict::Forget(int node) {
  std::vector<Pair> pairs;
  for (const auto& [pair, known] : pairs_)
    if (Touches(pair, node)) pairs.push_back(pair);
  Erase(pairs);
}

std::string Verdict::Words(const Look& look) const {
  if (!look.value) return look.failure;
  return fmt::format("{:.3g} {}", *look.value, metric_ == Metric::kRtt ? "us" : "Gb/s");
}

std::string Verdict::FirstWords(const Known& known) const {
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

std::string Verdict::PartnerWords(int node) const {
  auto partner = partners_.find(node);
  if (partner == partners_.end()) return fmt::format("{}: there is no good partner to try it with", names_[node]);
  return fmt::format("{} with a good partner, {}: {} ({})", names_[node], names_[partner->second.node],
                     Words(partner->second.look), BadWithPartner(node).value() ? "bad" : "good");
}

Suspect Verdict::Blaming(Blame what, std::vector<int> nodes, const std::vector<Pair>& pairs) const {
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

std::vector<Suspect> Verdict::ClassesThatFallShort() const {
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

std::vector<Suspect> Verdict::Suspects() const {
  std::vector<Suspect> suspects;
  std::set<int> blamed;
  auto blame_node = [&](int node) {
    if (!blamed.insert(node).second) return;
    std::vector<Pair> bad;
    size_t all = 0;
    for (const auto& [pair, known] : pairs_) {
      if (!Touches(pair, node)) continue;
      ++all;
      if (known.stays_bad) bad.push_back(pair);
    }
    Suspect suspect = Blaming(Blame::kNode, {node}, bad);
    suspect.evidence.insert(suspect.evidence.begin(),
                            fmt::format("{} is bad with {} of {} partners", names_[node], bad.size(), all));
    suspect.evidence.push_back(PartnerWords(node));
    suspects.push_back(std::move(suspect));
  };
  for (int node : bad_nodes_) blame_node(node);

  // What no node explains so far: a link, one of its ends after all, or nobody knows.
  std::vector<Pair> unclear;
  const std::vector<Pair> in_question = PairsInQuestion();
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
