// `netsense-bench matrix`: every pair of nodes, and who is to blame for those that are bad.
#include "bench/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <memory>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/token.h"
#include "bench/matrix/nodes.h"
#include "bench/matrix/plan.h"
#include "bench/matrix/record.h"
#include "bench/matrix/runner.h"
#include "bench/matrix/tables.h"
#include "bench/matrix/verdict.h"
#include "bench/measure_flags.h"
#include "bench/result_file.h"
#include "bench/results.h"
#include "transports/socket.h"

namespace netsense {
namespace matrix {
namespace {

using Json = nlohmann::json;

constexpr double kUsualStreamSeconds = 0.5;
constexpr uint64_t kUsualStreamBytes = 16 << 20;  // to and from engines, which give a share of their ports only
constexpr uint64_t kLeastStreamBytes = 1 << 20;   // fewer say nothing of a link

struct Flags {
  DoorFlags door;
  NodeSources sources;
  Settings settings;
  Rules rules;
  double slow_below_percent = 50;
  uint32_t timeout_ms = 2000;
  std::optional<uint64_t> bytes;
  std::optional<double> duration_s;
  bool busy_poll = false;
  bool no_ping = false, no_bandwidth = false;
  bool json = false;
  bool dry_run = false;
  std::string jsonl, resume;
};

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
  std::vector<Runner::Task> TasksOf(Pair pair) const;
  void RunRounds(const std::stop_token& stop);
  void FindSuspects(const std::stop_token& stop);
  // Returns why it could not be had, if that says nothing of the pair.
  absl::StatusOr<Look> LookAlone(Pair pair, const std::string& transport, Metric metric, const std::stop_token& stop);
  // The verdict is told of nodes that died meanwhile. False when stopped.
  bool LookAgain(Verdict* verdict, Pair pair, const std::string& transport, Metric metric, const std::stop_token& stop);
  void AddSuspects(const std::vector<Suspect>& suspects, const std::string& transport, Metric metric);
  std::string WhyNotJudged(bool interrupted) const;
  void AddRow(Json row);
  Json Tail(bool interrupted) const;
  Json DocumentOf(bool interrupted) const;
  int Finish(bool interrupted);

  // What measures the same thing: kind, source, target, transport, direction.
  using Identity = std::tuple<std::string, std::string, std::string, std::string, std::string>;
  static Identity IdentityOf(const Json& row) {
    return {TextOf(row, "kind"), TextOf(row, "source"), TextOf(row, "target"), TextOf(row, "transport"),
            TextOf(row, "direction")};
  }

  const Flags& flags_;
  std::vector<Node> nodes_;
  Runner runner_;
  std::optional<EarlierRun> earlier_;
  std::vector<Json> rows_;
  std::set<Identity> done_;
  std::vector<std::vector<Pair>> rounds_;
  std::set<int> without_stream_;  // nodes that take too few bytes for a bandwidth
  std::optional<double> slowest_gbps_;
  Estimate estimate_;
  size_t round_ = 0, rounds_done_ = 0;
  Json head_, suspects_ = Json::array();
  bool compared_ = false;               // at least one verdict had something to compare
  std::vector<std::string> not_clear_;  // pairs that were bad at first and could not be looked at again
  Lines lines_;
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
  auto earlier = ReadEarlierRun(flags_.resume);
  if (!earlier.ok()) return earlier.status();
  const Json& settings = ObjectOf(ObjectOf(earlier->head, "plan"), "settings");
  if (settings != runner_.settings().ToJson())
    return absl::InvalidArgumentError(absl::StrCat(flags_.resume, " was measured otherwise: ", Dump(settings),
                                                   ", and this is ", Dump(runner_.settings().ToJson())));
  if (!earlier->note.empty()) std::cerr << "netsense-bench: " << flags_.resume << ": " << earlier->note << "\n";
  std::set<std::string> names, transports(flags_.settings.transports.begin(), flags_.settings.transports.end());
  for (const Node& node : nodes_) names.insert(node.name);
  for (Json& row : earlier->rows) {
    const auto& [kind, source, target, transport, direction] = IdentityOf(row);
    if (!names.contains(source) || !names.contains(target) || !transports.contains(transport)) continue;
    if (done_.insert(IdentityOf(row)).second) rows_.push_back(std::move(row));
  }
  earlier_ = *std::move(earlier);
  std::cerr << fmt::format("{} measurements are there already\n", rows_.size());
  return absl::OkStatus();
}

std::vector<Runner::Task> MatrixRun::TasksOf(Pair pair) const {
  std::vector<Runner::Task> tasks;
  for (const std::string& transport : flags_.settings.transports) {
    const std::string& a = nodes_[static_cast<size_t>(pair.a)].name;
    const std::string& b = nodes_[static_cast<size_t>(pair.b)].name;
    auto streamed = [&](const std::string& from, const std::string& to) {
      return done_.contains({"bw", from, to, transport, "to_peer"});
    };
    // Either end may have pinged: the list may have had another order.
    const bool pinged = done_.contains({"ping", a, b, transport, ""}) || done_.contains({"ping", b, a, transport, ""});
    Runner::Task task{.pair = pair, .transport = transport};
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
  rounds_ = CircleRounds(alive);
  for (auto& round : rounds_) std::erase_if(round, [this](const Pair& pair) { return TasksOf(pair).empty(); });
  std::erase_if(rounds_, [](const auto& round) { return round.empty(); });
  estimate_ = EstimateOf(rounds_, flags_.settings.transports.size(), runner_.settings().load(), slowest_gbps_);
}

std::string MatrixRun::PlanWords() const {
  const auto alive = std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.alive; });
  std::string transports;
  for (const std::string& transport : flags_.settings.transports)
    transports += (transports.empty() ? "" : ", ") + transport;
  return fmt::format(
      "{} of {} nodes are there: {} pairs in {} rounds over {}, {:.3g} GB and {} min {:.0f} s{}\n", alive,
      nodes_.size(), estimate_.pairs, estimate_.rounds, transports, static_cast<double>(estimate_.bytes) / 1e9,
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
                   {"rounds_done", 0}};
}

absl::Status MatrixRun::BeginLines() {
  std::error_code error;
  const bool same = earlier_ && std::filesystem::equivalent(flags_.jsonl, flags_.resume, error);
  if (same && !earlier_->is_lines)
    return absl::InvalidArgumentError(absl::StrCat(flags_.resume, " is a document: give --jsonl another file"));
  const bool append = earlier_ && earlier_->is_lines && (flags_.jsonl.empty() || same);
  auto lines = append ? Lines::Append(flags_.resume) : Lines::Create(flags_.jsonl);
  if (!lines.ok()) return lines.status();
  lines_ = *std::move(lines);
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
    if (stop.stop_requested()) return;
    double left = estimate_.seconds;
    if (round_ > 0)
      left = std::chrono::duration<double>(MonotonicNow() - start).count() / static_cast<double>(round_) *
             static_cast<double>(rounds_.size() - round_);
    ++round_;
    progress.Show(fmt::format("round {} of {}, {:.0f} s left", round_, rounds_.size(), left));
    std::vector<std::vector<Runner::Task>> pairs;
    for (const Pair& pair : round) pairs.push_back(TasksOf(pair));
    runner_.Run(pairs, stop, [this](Json row) { AddRow(std::move(row)); });
    if (!stop.stop_requested()) ++rounds_done_;
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
  if (looks.empty()) return absl::UnavailableError("it gave no figure");
  return looks.front().look;
}

const char* MetricWords(Metric metric) { return metric == Metric::kRtt ? "round trip" : "bandwidth"; }

bool MatrixRun::LookAgain(Verdict* verdict, Pair pair, const std::string& transport, Metric metric,
                          const std::stop_token& stop) {
  auto look = LookAlone(pair, transport, metric, stop);
  if (stop.stop_requested()) return false;
  bool all_alive = true;
  for (int end : {pair.a, pair.b}) {
    if (nodes_[static_cast<size_t>(end)].alive) continue;
    verdict->Forget(end);
    all_alive = false;
  }
  if (!all_alive) return true;
  if (look.ok()) {
    verdict->Add(pair, *look);
    return true;
  }
  verdict->Drop(pair);
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
    Json added = {{"what", words[static_cast<int>(suspect.what)]},
                  {"nodes", std::move(names)},
                  {"transport", transport},
                  {"metric", metric == Metric::kRtt ? "rtt" : "bw"},
                  {"measured", or_null(suspect.measured)},
                  {"class_median", or_null(suspect.class_median)},
                  {"expected", or_null(suspect.expected)},
                  {"unit", metric == Metric::kRtt ? "us" : "gbps"},
                  {"evidence", suspect.evidence}};
    // One suspect a cause: what another metric or transport has shown already gets more evidence, and links that a node
    // explains go into it. Of paths nobody knows.
    auto explains = [](const Json& cause, const Json& other) {
      if (cause["what"] == "path" || other["what"] == "path") return false;
      const Json& ends = other["nodes"];
      return cause["nodes"] == ends ||
             (cause["what"] == "node" && std::find(ends.begin(), ends.end(), cause["nodes"][0]) != ends.end());
    };
    auto give_evidence = [](const Json& from, Json* to) {
      for (const Json& line : from["evidence"])
        (*to)["evidence"].push_back(fmt::format("{}, {}: {}", from["transport"].get<std::string>(),
                                                from["metric"] == "rtt" ? "round trip" : "bandwidth",
                                                line.get<std::string>()));
    };
    auto explained =
        std::find_if(suspects_.begin(), suspects_.end(), [&](const Json& known) { return explains(known, added); });
    if (explained != suspects_.end()) {
      give_evidence(added, &*explained);
      continue;
    }
    Json others = Json::array();
    for (Json& known : suspects_) {
      if (explains(added, known))
        give_evidence(known, &added);
      else
        others.push_back(std::move(known));
    }
    others.push_back(std::move(added));
    suspects_ = std::move(others);
  }
}

void MatrixRun::FindSuspects(const std::stop_token& stop) {
  ProgressLine progress(!flags_.json);
  std::vector<std::string> names;
  for (const Node& node : nodes_) names.push_back(node.name);
  for (const std::string& transport : flags_.settings.transports) {
    for (Metric metric : {Metric::kBandwidth, Metric::kRtt}) {
      Verdict verdict(metric, flags_.rules, names, LooksOf(rows_, nodes_, transport, metric));
      compared_ = compared_ || verdict.Compares();
      while (auto pair = verdict.NextLook()) {
        progress.Show(fmt::format("looking again: {} - {}", names[static_cast<size_t>(pair->a)],
                                  names[static_cast<size_t>(pair->b)]));
        if (!LookAgain(&verdict, *pair, transport, metric, stop)) return;
      }
      AddSuspects(verdict.Suspects(), transport, metric);
    }
  }
}

// Empty when the suspects are all there are.
std::string MatrixRun::WhyNotJudged(bool interrupted) const {
  if (interrupted) return "interrupted";
  if (rows_.empty()) return "nothing was measured";
  if (std::all_of(rows_.begin(), rows_.end(), [](const Json& row) { return row.contains("error"); }))
    return "every measurement failed";
  if (!not_clear_.empty())
    return absl::StrCat("not clear: ", not_clear_.front(),
                        not_clear_.size() > 1 ? fmt::format(", and {} more", not_clear_.size() - 1) : "");
  if (!compared_ && suspects_.empty())
    return "nothing to compare: no two pairs are of one class, and what they could carry is not known";
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
    std::cout << Dump(document, 2) << "\n";
  else if (flags_.jsonl != "-")
    std::cout << TablesOf(document);
  if (interrupted) {
    const std::string& file = flags_.jsonl.empty() ? flags_.resume : flags_.jsonl;
    std::cerr << "netsense-bench: interrupted"
              << (file.empty() || file == "-" ? "" : absl::StrCat("; --resume ", file, " goes on")) << "\n";
  }
  const bool measured = std::any_of(rows_.begin(), rows_.end(), [](const Json& row) { return !row.contains("error"); });
  if (!measured) return kCouldNotMeasure;
  const bool failed = std::any_of(rows_.begin(), rows_.end(), [](const Json& row) { return row.contains("error"); });
  const bool dead = std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) { return !node.alive; });
  if (dead || failed || !suspects_.empty() || !not_clear_.empty()) return kBelowThreshold;
  return interrupted ? kCouldNotMeasure : kGood;
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
      std::cout << Dump(DocumentOf(false), 2) << "\n";
    else
      std::cout << PlanWords();
    return kGood;
  }
  std::cerr << PlanWords();
  if (auto status = BeginLines(); !status.ok()) return Fail(status);
  RunRounds(stop);
  if (!stop.stop_requested()) FindSuspects(stop);
  return Finish(stop.stop_requested());
}

int Matrix(Flags flags, const std::stop_token& stop) {
  if (flags.json && flags.jsonl == "-")
    return Fail(absl::InvalidArgumentError("--json and --jsonl - both write to stdout: take one of them"));
  auto token = FindToken(flags.door.token_file);
  if (!token.ok()) return Fail(token.status());
  flags.settings.token = flags.sources.token = token->secret;
  flags.settings.timeout = std::chrono::milliseconds(flags.timeout_ms);
  flags.settings.ping = !flags.no_ping;
  flags.settings.bandwidth = !flags.no_bandwidth;
  flags.settings.wait_mode = flags.busy_poll ? v1::WAIT_MODE_BUSY_POLL : v1::WAIT_MODE_BLOCK;
  flags.rules.slow_below = flags.slow_below_percent / 100;
  auto nodes = FindNodes(flags.sources);
  if (!nodes.ok()) return Fail(nodes.status());
  if (nodes->size() < 2)
    return Fail(absl::InvalidArgumentError("a matrix has two nodes or more: name them, or give --hosts or --cluster"));
  auto is_here = [](const Node& node) { return IsLoopback(node.address); };
  const bool all_here = std::all_of(nodes->begin(), nodes->end(), is_here);
  if (auto here = std::find_if(nodes->begin(), nodes->end(), is_here); here != nodes->end() && !all_here)
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        here->name, " is ", here->address, " on this host, where no other node reaches it: give it another address")));
  if (token->secret.empty() && !flags.door.insecure && !all_here)
    return Fail(absl::InvalidArgumentError(
        "no token to prove who we are: give --token-file (the same token as the nodes'), or --insecure if they serve "
        "without one"));
  return MatrixRun(flags, *std::move(nodes)).Run(stop);
}

}  // namespace
}  // namespace matrix

Command AddMatrix(CLI::App& program) {
  auto flags = std::make_shared<matrix::Flags>();
  CLI::App* app = program.add_subcommand(
      "matrix", "every pair of nodes, without MPI or SSH: who is slow, the node or the link between two");
  app->footer(
      "On each node an engine or `netsense-bench serve` runs. Engines give a share of their ports only, and streams "
      "of\n"
      "few bytes; `serve` has no such limit. Bad pairs are measured again, alone, and then with a good partner.\n"
      "Exit codes: 0 good, 1 suspects, failures or nodes that are not there, 2 usage,\n"
      "3 could not measure, or interrupted and good so far.");
  AddDoorFlags(app, &flags->door);
  app->add_option("nodes", flags->sources.hosts, "HOST:PORT of each node's door (port 18590 where none is given)");
  app->add_option("--hosts", flags->sources.hosts_file, "file with one node a line; # starts a comment")
      ->check(CLI::ExistingFile);
  app->add_option("--cluster", flags->sources.cluster, "all nodes of a cluster: http://HEAD:18591");
  app->add_option("-t,--transport", flags->settings.transports, "transports to measure, one after another")
      ->delimiter(',')
      ->capture_default_str();
  app->add_option("--mode", flags->settings.mode,
                  "one of the transport's ways (grpc: unary, stream; verbs: write, read)");
  app->add_option("-s,--size", flags->settings.payload_bytes, "payload bytes of a ping, each way")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  app->add_option("--pings", flags->settings.pings, "pings of a pair")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app->add_option("--warmup", flags->settings.warmup, "pings before the first that counts")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  auto* bytes = app->add_option("--bytes", flags->bytes, "bytes of one stream (default with engines: 16 MiB)")
                    ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  app->add_option("-D,--duration", flags->duration_s, "seconds of one stream (default: 0.5)")
      ->check(CLI::Range(0.01, 3600.0))
      ->excludes(bytes);
  auto* no_ping = app->add_flag("--no-ping", flags->no_ping, "bandwidth only");
  app->add_flag("--no-bw", flags->no_bandwidth, "round trips only")->excludes(no_ping);
  app->add_flag("--busy-poll", flags->busy_poll, "spin while waiting (`serve` only; a processor for each pair)");
  app->add_option("--slow-below", flags->slow_below_percent,
                  "percent of the class's median, or of the expected rate, below which bandwidth is bad")
      ->check(CLI::Range(1.0, 99.0))
      ->capture_default_str();
  app->add_option("--rtt-factor", flags->rules.rtt_factor,
                  "times the class's median above which a round trip is bad (and 100 us above it)")
      ->check(CLI::Range(1.1, 1000.0))
      ->capture_default_str();
  app->add_option("--timeout", flags->timeout_ms, "milliseconds in which a node has to answer")
      ->check(CLI::Range(10, 60000))
      ->capture_default_str();
  app->add_flag("--dry-run", flags->dry_run, "only say how long it will take");
  app->add_flag("--json", flags->json, "one JSON document on stdout");
  app->add_option("--jsonl", flags->jsonl, "write each result into this file as soon as it is there (- is stdout)");
  app->add_option("--resume", flags->resume, "go on with an earlier run: a document, or JSON Lines, which then grow")
      ->check(CLI::ExistingFile);
  return {app, [flags](const std::stop_token& stop) { return matrix::Matrix(*flags, stop); }};
}

}  // namespace netsense
