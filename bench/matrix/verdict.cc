#include "bench/matrix/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace netsense::matrix {
namespace {

constexpr int kEnoughToCondemn = 4;  // partners with whom a node was bad, alone: the others need no second look
constexpr size_t kMostEvidence = 8;  // lines about pairs

// The middle one; of an even number the better one of both, so that one bad node among four is still an exception.
double MedianOf(std::vector<double> values, Metric metric) {
  std::sort(values.begin(), values.end());
  if (metric == Metric::kRtt) return values[(values.size() - 1) / 2];
  return values[values.size() / 2];
}

bool Touches(const Pair& pair, int node) { return pair.a == node || pair.b == node; }
int OtherEnd(const Pair& pair, int node) { return pair.a == node ? pair.b : pair.a; }

}  // namespace

Verdict::Verdict(Metric metric, Rules rules, std::vector<std::string> names, const std::vector<FirstLook>& looks)
    : metric_(metric), rules_(rules), names_(std::move(names)) {
  std::map<std::string, std::vector<double>> classes;
  for (const FirstLook& look : looks)
    if (look.look.value) classes[look.link_class].push_back(*look.look.value);
  std::map<std::string, double> medians;
  for (auto& [name, values] : classes) medians[name] = MedianOf(std::move(values), metric);
  for (const FirstLook& look : looks) pairs_[look.pair] = {look, {}, medians[look.link_class]};
}

bool Verdict::IsBad(const Known& known, const Look& look) const {
  if (!look.value) return true;
  if (metric_ == Metric::kRtt)
    return known.median > 0 && *look.value > rules_.rtt_factor * known.median &&
           *look.value >= known.median + rules_.rtt_floor_us;
  return *look.value < rules_.slow_below * std::max(known.median, known.first.expected_gbps.value_or(0));
}

bool Verdict::Condemned(int node) const {
  auto bad = bad_alone_.find(node);
  return bad != bad_alone_.end() && bad->second >= kEnoughToCondemn;
}

void Verdict::Recount() {
  bad_alone_.clear();
  for (const auto& [pair, known] : pairs_)
    if (known.alone && BadAtFirst(known) && IsBad(known, *known.alone))
      for (int end : {pair.a, pair.b}) ++bad_alone_[end];
}

bool Verdict::StaysBad(const Known& known) const {
  if (!BadAtFirst(known)) return false;
  if (known.alone) return IsBad(known, *known.alone);
  return Condemned(known.first.pair.a) || Condemned(known.first.pair.b);
}

// The nodes that would explain most of what stays bad: each is bad with more than half of its partners, those left out
// that an earlier one explains.
std::set<int> Verdict::NodesInQuestion() const {
  std::set<int> found;
  std::set<Pair> bad;
  for (const auto& [pair, known] : pairs_)
    if (StaysBad(known)) bad.insert(pair);
  while (true) {
    std::map<int, int> all, bad_with;
    for (const auto& [pair, known] : pairs_) {
      if (found.contains(pair.a) || found.contains(pair.b)) continue;
      for (int end : {pair.a, pair.b}) {
        ++all[end];
        bad_with[end] += bad.contains(pair) ? 1 : 0;
      }
    }
    int worst = -1;
    for (const auto& [node, count] : bad_with)
      if (count >= 2 && 2 * count > all[node] && (worst < 0 || count > bad_with[worst])) worst = node;
    if (worst < 0) return found;
    found.insert(worst);
  }
}

std::optional<int> Verdict::GoodPartnerOf(int node) const {
  const std::set<int> in_question = NodesInQuestion();
  std::map<int, int> good, bad;
  for (const auto& [pair, known] : pairs_)
    for (int end : {pair.a, pair.b}) ++(StaysBad(known) ? bad : good)[end];
  std::optional<int> best;
  std::tuple<bool, int> best_rank;
  for (const auto& [pair, known] : pairs_) {
    if (!Touches(pair, node)) continue;
    int partner = OtherEnd(pair, node);
    // One with whom it was good has shown that neither of them is to blame for all.
    if (StaysBad(known) && (in_question.contains(partner) || good[partner] == 0)) continue;
    std::tuple<bool, int> rank{StaysBad(known), bad[partner]};
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

std::set<int> Verdict::BadNodes() const {
  std::set<int> bad;
  for (int node : NodesInQuestion())
    if (BadWithPartner(node).value_or(false)) bad.insert(node);
  return bad;
}

std::vector<Pair> Verdict::PairsInQuestion() const {
  const std::set<int> explained = BadNodes();
  std::vector<Pair> pairs;
  for (const auto& [pair, known] : pairs_)
    if (StaysBad(known) && !explained.contains(pair.a) && !explained.contains(pair.b)) pairs.push_back(pair);
  return pairs;
}

std::optional<Pair> Verdict::NextLook() const {
  for (const auto& [pair, known] : pairs_)
    if (BadAtFirst(known) && !known.alone && !Condemned(pair.a) && !Condemned(pair.b)) return pair;
  auto with_partner = [this](int node) -> std::optional<Pair> {
    if (partners_.contains(node)) return {};
    auto partner = GoodPartnerOf(node);
    return partner ? std::optional(MakePair(node, *partner)) : std::nullopt;
  };
  for (int node : NodesInQuestion())
    if (auto pair = with_partner(node)) return pair;
  for (const Pair& in_question : PairsInQuestion())
    for (int end : {in_question.a, in_question.b})
      if (auto pair = with_partner(end)) return pair;
  return {};
}

void Verdict::Add(Pair pair, const Look& look) {
  auto found = pairs_.find(pair);
  if (found == pairs_.end()) return;
  Known& known = found->second;
  if (BadAtFirst(known) && !known.alone && !Condemned(pair.a) && !Condemned(pair.b)) {
    known.alone = look;
    Recount();
    return;
  }
  // A look with a partner: for the end whose partner is the other one.
  for (int end : {pair.a, pair.b}) {
    if (partners_.contains(end) || GoodPartnerOf(end) != OtherEnd(pair, end)) continue;
    partners_[end] = {OtherEnd(pair, end), look};
  }
}

void Verdict::Forget(int node) {
  std::erase_if(pairs_, [node](const auto& entry) { return Touches(entry.first, node); });
  std::erase_if(partners_, [node](const auto& entry) { return entry.first == node || entry.second.node == node; });
  Recount();
}

std::string Verdict::Words(const Look& look) const {
  if (!look.value) return look.failure;
  return fmt::format("{:.3g} {}", *look.value, metric_ == Metric::kRtt ? "us" : "Gb/s");
}

std::string Verdict::FirstWords(const Known& known) const {
  const Pair& pair = known.first.pair;
  std::string words = fmt::format("{} - {}: {}", names_[pair.a], names_[pair.b], Words(known.first.look));
  if (known.first.look.value && known.median > 0) {
    if (metric_ == Metric::kRtt)
      words += fmt::format(", {:.3g} times the median of its class", *known.first.look.value / known.median);
    else
      words += fmt::format(", {:.0f} % of the median of its class", 100 * *known.first.look.value / known.median);
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
    if (known.median > 0) suspect.class_median = known.median;
    if (known.first.expected_gbps && metric_ == Metric::kBandwidth) suspect.expected = known.first.expected_gbps;
    if (suspect.evidence.size() < kMostEvidence) suspect.evidence.push_back(FirstWords(known));
  }
  if (pairs.size() > kMostEvidence)
    suspect.evidence.push_back(fmt::format("and {} pairs more", pairs.size() - kMostEvidence));
  if (!values.empty()) suspect.measured = MedianOf(values, metric_);
  return suspect;
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
      if (StaysBad(known)) bad.push_back(pair);
    }
    Suspect suspect = Blaming(Blame::kNode, {node}, bad);
    suspect.evidence.insert(suspect.evidence.begin(),
                            fmt::format("{} is bad with {} of {} partners", names_[node], bad.size(), all));
    suspect.evidence.push_back(PartnerWords(node));
    suspects.push_back(std::move(suspect));
  };
  for (int node : BadNodes()) blame_node(node);

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
  return suspects;
}

}  // namespace netsense::matrix
