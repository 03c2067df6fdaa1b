#include "bench/matrix/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/status_macros.h"
#include "bench/command.h"
#include "bench/json_lines.h"
#include "bench/matrix/earlier_run.h"
#include "bench/matrix/plan.h"
#include "bench/matrix/suspects.h"
#include "bench/matrix/tables.h"
#include "bench/result_file.h"
#include "bench/results.h"

namespace netsense::matrix {
namespace {

using Json = nlohmann::json;

constexpr double kUsualStreamSeconds = 0.5;
constexpr uint64_t kUsualStreamBytes = 16 << 20;  // to and from engines, which give a share of their ports only
constexpr uint64_t kLeastStreamBytes = 1 << 20;   // fewer say nothing of a link

// One line on a terminal, redrawn.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() { Show(""); }
  void Show(const std::string& text) const {
    if (wanted_) std::cerr << "\r\033[K" << text << std::flush;
  }

 private:
  const bool wanted_;
};

class MatrixRun {
 public:
  MatrixRun(const Flags& flags, std::vector<Node> nodes)
      : flags_(flags), nodes_(std::move(nodes)), runner_(flags.settings, &nodes_) {}

  int Run(const std::stop_token& stop);

 private:
  absl::Status ChooseStream();
  absl::Status TakeEarlierRun();
  void MakeHead();
  absl::Status BeginLines();
  void MakePlan();
  std::string PlanWords() const;
  std::vector<Runner::Task> TasksOf(Pair pair, uint32_t repeat) const;
  double DeadlineSeconds() const;
  // Whether there is no time left, or a person said stop.
  bool IsOver(const std::stop_token& stop) const { return stop.stop_requested() || runner_.Late(); }
  void RunRounds(const std::stop_token& stop);
  // False when it was over before.
  bool FindSuspects(const std::stop_token& stop);
  // Returns why it could not be had, if that says nothing of the pair.
  absl::StatusOr<Look> LookAlone(Pair pair, const std::string& transport, Metric metric, const std::stop_token& stop);
  // The search is told of nodes that died meanwhile. False when stopped.
  bool LookAgain(BlameSearch* search, Pair pair, const std::string& transport, Metric metric,
                 const std::stop_token& stop);
  void AddSuspects(const std::vector<Suspect>& suspects, const std::string& transport, Metric metric);
  std::string WhyNotJudged(bool interrupted) const;
  void AddRow(Json row);
  Json Tail(bool interrupted) const;
  Json DocumentOf(bool interrupted) const;
  int Finish(bool interrupted);
  int ExitCode(bool interrupted) const;

  const Flags& flags_;
  std::vector<Node> nodes_;
  Runner runner_;
  std::optional<EarlierRun> earlier_;
  std::vector<Json> rows_;
  std::set<MatrixKey> done_;
  std::vector<std::vector<Pair>> rounds_;
  std::vector<uint32_t> repeat_of_;  // of each round
  std::set<int> without_stream_;     // nodes that take too few bytes for a bandwidth
  std::optional<double> slowest_gbps_;
  bool limited_ = false;  // by engines, which give a share of their ports only
  Estimate estimate_;
  size_t round_ = 0, rounds_done_ = 0;
  Json head_, suspects_ = Json::array();
  std::vector<std::string> not_comparable_;  // pairs of which nobody can say whether they are good
  std::vector<std::string> not_clear_;       // pairs that were bad at first and could not be looked at again
  JsonLines lines_;
};

absl::Status MatrixRun::ChooseStream() {
  uint64_t limit = std::numeric_limits<uint64_t>::max();
  std::string limited;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (!node.alive) continue;
    const uint64_t most = node.description.max_stream_bytes();
    if (most < std::min(kLeastStreamBytes, flags_.bytes.value_or(kLeastStreamBytes))) {
      without_stream_.insert(static_cast<int>(i));
      if (flags_.settings.bandwidth)
        std::cerr << fmt::format(
            "netsense-bench: {} takes {} bytes in one stream: too few, its bandwidth is left out\n", node.name, most);
    } else if (most < limit) {
      limit = most;
      limited = node.name;
    }
    if (auto gbps = LinkGbps(node)) slowest_gbps_ = std::min(*gbps, slowest_gbps_.value_or(*gbps));
  }
  std::optional<uint64_t> bytes = flags_.bytes;
  std::optional<double> seconds = flags_.duration_s;
  if (!bytes && !seconds) {
    if (limited.empty())
      seconds = kUsualStreamSeconds;
    else
      bytes = std::min(kUsualStreamBytes, limit);
  }
  limited_ = !limited.empty();
  if (!limited.empty() && flags_.settings.bandwidth && (seconds || *bytes > limit))
    return absl::InvalidArgumentError(fmt::format(
        "{} takes at most {} bytes in one stream: stay below it with --bytes, or run `netsense-bench serve` there, "
        "which has no such limit",
        limited, limit));
  runner_.SetStream(bytes, seconds);
  return absl::OkStatus();
}

absl::Status MatrixRun::TakeEarlierRun() {
  if (flags_.resume.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto earlier, ReadEarlierRun(flags_.resume));
  const Json& settings = ObjectOf(ObjectOf(earlier.head, "plan"), "settings");
  if (settings != runner_.settings().ToJson())
    return absl::InvalidArgumentError(absl::StrCat(flags_.resume, " was measured otherwise: ", DumpText(settings),
                                                   ", and this is ", DumpText(runner_.settings().ToJson())));
  if (!earlier.note.empty()) std::cerr << "netsense-bench: " << flags_.resume << ": " << earlier.note << "\n";
  std::set<std::string> names, transports(flags_.settings.transports.begin(), flags_.settings.transports.end());
  for (const Node& node : nodes_) names.insert(node.name);
  for (Json& row : earlier.rows) {
    const auto& [kind, source, target, transport, direction, repeat] = MatrixKeyOf(row);
    if (!names.contains(source) || !names.contains(target) || !transports.contains(transport)) continue;
    if (done_.insert(MatrixKeyOf(row)).second) rows_.push_back(std::move(row));
  }
  earlier_ = std::move(earlier);
  std::cerr << fmt::format("{} measurements are there already\n", rows_.size());
  return absl::OkStatus();
}

std::vector<Runner::Task> MatrixRun::TasksOf(Pair pair, uint32_t repeat) const {
  std::vector<Runner::Task> tasks;
  for (const std::string& transport : flags_.settings.transports) {
    const std::string& a = nodes_[static_cast<size_t>(pair.a)].name;
    const std::string& b = nodes_[static_cast<size_t>(pair.b)].name;
    auto streamed = [&](const std::string& from, const std::string& to) {
      return done_.contains({"bw", from, to, transport, "to_peer", repeat});
    };
    // By the one whose name comes first, whatever the order of the list.
    const bool pinged = done_.contains({"ping", std::min(a, b), std::max(a, b), transport, "", repeat});
    Runner::Task task{.pair = pair, .transport = transport, .repeat = repeat};
    task.ping = flags_.settings.ping && !pinged;
    const bool stream =
        flags_.settings.bandwidth && !without_stream_.contains(pair.a) && !without_stream_.contains(pair.b);
    task.stream_to_b = stream && !streamed(a, b);
    task.stream_to_a = stream && !streamed(b, a);
    if (task.ping || task.stream_to_b || task.stream_to_a) tasks.push_back(task);
  }
  return tasks;
}

void MatrixRun::MakePlan() {
  std::vector<int> alive;
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].alive) alive.push_back(static_cast<int>(i));
  // All pairs, and all again: what changes with time meets each pair alike.
  for (uint32_t repeat = 1; repeat <= flags_.repeat; ++repeat)
    for (auto& round : CircleRounds(alive)) {
      std::erase_if(round, [&](const Pair& pair) { return TasksOf(pair, repeat).empty(); });
      if (round.empty()) continue;
      rounds_.push_back(std::move(round));
      repeat_of_.push_back(repeat);
    }
  estimate_ = EstimateOf(rounds_, flags_.settings.transports.size(), runner_.settings().load(), slowest_gbps_);
}

// Far more than a good run takes, and a slow node in each round: what ends it is what hangs.
double MatrixRun::DeadlineSeconds() const {
  constexpr double kTimesEstimate = 10;
  if (flags_.deadline_s) return *flags_.deadline_s;
  const auto streams = limited_ ? 2 * estimate_.rounds * flags_.settings.transports.size() : 0;
  const auto more = deadlines::kMatrixHangs() + static_cast<int64_t>(streams) * deadlines::kMatrixShare();
  return kTimesEstimate * estimate_.seconds + std::chrono::duration<double>(more).count();
}

std::string MatrixRun::PlanWords() const {
  const auto alive = std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.alive; });
  std::string transports;
  for (const std::string& transport : flags_.settings.transports)
    transports += (transports.empty() ? "" : ", ") + transport;
  return fmt::format(
      "{} of {} nodes are there: {} pairs in {} rounds over {}{}, {:.3g} GB and {} min {:.0f} s{}\n", alive,
      nodes_.size(), estimate_.pairs, estimate_.rounds, transports,
      flags_.repeat > 1 ? fmt::format(", {} times", flags_.repeat) : "", static_cast<double>(estimate_.bytes) / 1e9,
      static_cast<int>(estimate_.seconds / 60), estimate_.seconds - 60 * static_cast<int>(estimate_.seconds / 60),
      estimate_.assumed_speed ? fmt::format(" at {} Gb/s (no port says how fast it is)", kAssumedGbps) : "");
}

void MatrixRun::MakeHead() {
  head_ = DocumentHead("matrix", "");
  head_["nodes"] = NodesJson(nodes_);
  head_["plan"] = {{"pairs", estimate_.pairs},
                   {"rounds", estimate_.rounds},
                   {"transports", flags_.settings.transports},
                   {"settings", runner_.settings().ToJson()},
                   {"estimated_bytes", estimate_.bytes},
                   {"estimated_s", estimate_.seconds},
                   {"repeat", flags_.repeat},
                   {"deadline_s", DeadlineSeconds()},
                   {"rounds_done", 0}};
}

absl::Status MatrixRun::BeginLines() {
  std::error_code error;
  const bool same = earlier_ && std::filesystem::equivalent(flags_.jsonl, flags_.resume, error);
  if (same && !earlier_->is_lines)
    return absl::InvalidArgumentError(absl::StrCat(flags_.resume, " is a document: give --jsonl another file"));
  const bool append = earlier_ && earlier_->is_lines && (flags_.jsonl.empty() || same);
  ASSIGN_OR_RETURN(lines_, append ? JsonLines::Append(flags_.resume) : JsonLines::Create(flags_.jsonl));
  lines_.Write(head_);
  if (!append)
    for (const Json& row : rows_) lines_.Write(row);
  return absl::OkStatus();
}

void MatrixRun::AddRow(Json row) {
  row["round"] = round_;
  lines_.Write(row);
  rows_.push_back(std::move(row));
}

void MatrixRun::RunRounds(const std::stop_token& stop) {
  ProgressLine progress(!flags_.json);
  const MonotonicTime start = MonotonicNow();
  for (const auto& round : rounds_) {
    if (IsOver(stop)) return;
    double left = estimate_.seconds;
    if (round_ > 0)
      left = std::chrono::duration<double>(MonotonicNow() - start).count() / static_cast<double>(round_) *
             static_cast<double>(rounds_.size() - round_);
    ++round_;
    progress.Show(fmt::format("round {} of {}, {:.0f} s left", round_, rounds_.size(), left));
    std::vector<std::vector<Runner::Task>> pairs;
    for (const Pair& pair : round) pairs.push_back(TasksOf(pair, repeat_of_[round_ - 1]));
    runner_.Run(pairs, stop, [this](Json row) { AddRow(std::move(row)); });
    if (!IsOver(stop)) ++rounds_done_;
  }
}

absl::StatusOr<Look> MatrixRun::LookAlone(Pair pair, const std::string& transport, Metric metric,
                                          const std::stop_token& stop) {
  Runner::Task task{.pair = pair, .transport = transport};
  task.ping = metric == Metric::kRtt;
  task.stream_to_b = task.stream_to_a = metric == Metric::kBandwidth;
  std::vector<Json> rows;
  runner_.Run({{task}}, stop, [&rows](Json row) { rows.push_back(std::move(row)); });
  for (const Json& row : rows)
    if (auto why = FailureOfItsOwn(row)) return absl::UnavailableError(*why);
  const auto looks = LooksOf(rows, nodes_, transport, metric);
  if (looks.empty() || (!looks.front().look.value && looks.front().look.failure.empty()))
    return absl::UnavailableError("it gave no figure");
  return looks.front().look;
}

const char* MetricWords(Metric metric) { return metric == Metric::kRtt ? "round trip" : "bandwidth"; }

bool MatrixRun::LookAgain(BlameSearch* search, Pair pair, const std::string& transport, Metric metric,
                          const std::stop_token& stop) {
  auto look = LookAlone(pair, transport, metric, stop);
  if (IsOver(stop)) return false;
  bool all_alive = true;
  for (int end : {pair.a, pair.b}) {
    if (nodes_[static_cast<size_t>(end)].alive) continue;
    search->Forget(end);
    all_alive = false;
  }
  if (!all_alive) return true;
  if (look.ok()) {
    search->Add(pair, *look);
    return true;
  }
  search->Drop(pair);
  not_clear_.push_back(fmt::format("{} - {} ({}, {}) could not be measured again: {}",
                                   nodes_[static_cast<size_t>(pair.a)].name, nodes_[static_cast<size_t>(pair.b)].name,
                                   transport, MetricWords(metric), std::string(look.status().message())));
  std::cerr << "netsense-bench: not clear: " << not_clear_.back() << "\n";
  return true;
}

void MatrixRun::AddSuspects(const std::vector<Suspect>& suspects, const std::string& transport, Metric metric) {
  const char* words[] = {"node", "link", "path"};
  for (const Suspect& suspect : suspects) {
    Json names = Json::array();
    for (int node : suspect.nodes) names.push_back(nodes_[static_cast<size_t>(node)].name);
    auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
    MergeSuspect({{"what", words[static_cast<int>(suspect.what)]},
                  {"nodes", std::move(names)},
                  {"transport", transport},
                  {"metric", metric == Metric::kRtt ? "rtt" : "bw"},
                  {"measured", or_null(suspect.measured)},
                  {"class_median", or_null(suspect.usual)},
                  {"expected", or_null(suspect.expected)},
                  {"unit", metric == Metric::kRtt ? "us" : "gbps"},
                  {"evidence", suspect.evidence}},
                 &suspects_);
  }
}

bool MatrixRun::FindSuspects(const std::stop_token& stop) {
  ProgressLine progress(!flags_.json);
  std::vector<std::string> names;
  for (const Node& node : nodes_) names.push_back(node.name);
  for (const std::string& transport : flags_.settings.transports) {
    for (Metric metric : {Metric::kBandwidth, Metric::kRtt}) {
      BlameSearch search(metric, flags_.rules, names, LooksOf(rows_, nodes_, transport, metric));
      while (auto pair = search.NextLook()) {
        progress.Show(fmt::format("looking again: {} - {}", names[static_cast<size_t>(pair->a)],
                                  names[static_cast<size_t>(pair->b)]));
        if (!LookAgain(&search, *pair, transport, metric, stop)) return false;
      }
      AddSuspects(search.Suspects(), transport, metric);
      for (const Pair& pair : search.NotJudged())
        not_comparable_.push_back(fmt::format("the {} over {} of {} - {}", MetricWords(metric), transport,
                                              names[static_cast<size_t>(pair.a)], names[static_cast<size_t>(pair.b)]));
    }
  }
  return true;
}

// Empty when the suspects are all there are.
std::string MatrixRun::WhyNotJudged(bool interrupted) const {
  if (interrupted)
    return runner_.Late() ? fmt::format("not done within {:.3g} s (--deadline)", DeadlineSeconds()) : "interrupted";
  if (rows_.empty()) return "nothing was measured";
  if (std::all_of(rows_.begin(), rows_.end(), [](const Json& row) { return row.contains("error"); }))
    return "every measurement failed";
  auto and_more = [](const std::vector<std::string>& list) {
    return list.size() > 1 ? fmt::format(", and {} more", list.size() - 1) : "";
  };
  if (!not_clear_.empty()) return absl::StrCat("not clear: ", not_clear_.front(), and_more(not_clear_));
  if (flags_.settings.bandwidth && !without_stream_.empty())
    return absl::StrCat(nodes_[static_cast<size_t>(*without_stream_.begin())].name,
                        " takes too few bytes in one stream for a bandwidth: --no-bw leaves it out of all");
  if (!not_comparable_.empty())
    return absl::StrCat("nothing to compare ", not_comparable_.front(), and_more(not_comparable_),
                        " with: measure more nodes together");
  return "";
}

// What is known only at the end.
Json MatrixRun::Tail(bool interrupted) const {
  Json plan = head_.at("plan");
  plan["rounds_done"] = rounds_done_;
  const std::string why_not = WhyNotJudged(interrupted);
  return {{"ended_at_ms", EpochMillis()}, {"interrupted", interrupted}, {"nodes", NodesJson(nodes_)},
          {"plan", std::move(plan)},      {"suspects", suspects_},      {"judged", why_not.empty()},
          {"not_judged_reason", why_not}};
}

Json MatrixRun::DocumentOf(bool interrupted) const {
  Json document = head_;
  document.update(Tail(interrupted));
  document["results"] = rows_;
  document["checks"] = Json::array();
  return document;
}

int MatrixRun::Finish(bool interrupted) {
  lines_.Write(Tail(interrupted));
  const Json document = DocumentOf(interrupted);
  if (flags_.json)
    std::cout << DumpText(document, 2) << "\n";
  else if (flags_.jsonl != "-")
    std::cout << TablesOf(document);
  if (interrupted) {
    const std::string& file = flags_.jsonl.empty() ? flags_.resume : flags_.jsonl;
    std::cerr << "netsense-bench: " << WhyNotJudged(true)
              << (file.empty() || file == "-" ? "" : absl::StrCat("; --resume ", file, " goes on")) << "\n";
  }
  return UnlessLost(!lines_.failed(), ExitCode(interrupted));
}

int MatrixRun::ExitCode(bool interrupted) const {
  const bool measured = std::any_of(rows_.begin(), rows_.end(), [](const Json& row) { return !row.contains("error"); });
  if (!measured) return kCouldNotMeasure;
  const bool failed = std::any_of(rows_.begin(), rows_.end(), [](const Json& row) { return row.contains("error"); });
  const bool dead = std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) { return !node.alive; });
  if (dead || failed || !suspects_.empty() || !not_clear_.empty()) return kBelowThreshold;
  return WhyNotJudged(interrupted).empty() ? kGood : kCouldNotMeasure;
}

int MatrixRun::Run(const std::stop_token& stop) {
  runner_.AskAll(stop);
  if (stop.stop_requested()) return kCouldNotMeasure;
  for (const Node& node : nodes_)
    if (!node.alive) std::cerr << "netsense-bench: " << node.name << " is left out: " << node.reason << "\n";
  if (std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.alive; }) < 2)
    return Fail(absl::UnavailableError("fewer than two nodes are there: nothing to measure"));
  if (auto status = ChooseStream(); !status.ok()) return Fail(status);
  if (auto status = TakeEarlierRun(); !status.ok()) return Fail(status);
  MakePlan();
  MakeHead();
  if (flags_.dry_run) {
    if (flags_.json)
      std::cout << DumpText(DocumentOf(false), 2) << "\n";
    else
      std::cout << PlanWords();
    return kGood;
  }
  std::cerr << PlanWords();
  if (auto status = BeginLines(); !status.ok()) return Fail(status);
  runner_.SetDeadline(MonotonicNow() + std::chrono::nanoseconds(static_cast<int64_t>(DeadlineSeconds() * 1e9)));
  RunRounds(stop);
  const bool over = IsOver(stop) || !FindSuspects(stop);
  return Finish(over);
}

}  // namespace

int RunMatrix(const Flags& flags, std::vector<Node> nodes, const std::stop_token& stop) {
  return MatrixRun(flags, std::move(nodes)).Run(stop);
}

}  // namespace netsense::matrix
