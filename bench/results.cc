#include "bench/results.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "bench/command.h"
#include "bench/rows.h"

namespace netsense {
namespace {

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  return "";
}

std::vector<std::string> Arguments() {
  std::ifstream file("/proc/self/cmdline");
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  if (!arguments.empty()) arguments.erase(arguments.begin());
  return arguments;
}

// Main columns of a row; what a row does not have is empty.
struct Column {
  const char* name;
  const char* path;  // JSON pointer
};
constexpr Column kColumns[] = {{"kind", "/kind"},
                               {"source", "/source"},
                               {"target", "/target"},
                               {"transport", "/transport"},
                               {"mode", "/mode"},
                               {"device", "/device"},
                               {"direction", "/direction"},
                               {"payload_bytes", "/payload_bytes"},
                               {"message_bytes", "/message_bytes"},
                               {"streams", "/streams"},
                               {"load", "/load"},
                               {"repeat", "/repeat"},
                               {"samples", "/samples"},
                               {"lost", "/lost"},
                               {"not_sent", "/not_sent"},
                               {"timestamp_source", "/timestamp_source"},
                               {"rtt_p50_us", "/rtt_us/p50"},
                               {"rtt_p99_us", "/rtt_us/p99"},
                               {"network_rtt_min_us", "/network_rtt_us/min"},
                               {"network_rtt_p50_us", "/network_rtt_us/p50"},
                               {"network_rtt_p99_us", "/network_rtt_us/p99"},
                               {"network_rtt_max_us", "/network_rtt_us/max"},
                               {"bw_avg_gbps", "/bw_gbps/avg"},
                               {"bw_min_window_gbps", "/bw_gbps/min_window"},
                               {"bw_max_window_gbps", "/bw_gbps/max_window"},
                               {"expected_percent", "/expected/percent"},
                               {"added_us", "/added_us"},
                               {"rpm", "/rpm"},
                               {"error", "/error/message"}};

std::string CsvCell(const nlohmann::json& row, const char* path) {
  const nlohmann::json::json_pointer pointer(path);
  if (!row.contains(pointer) || row[pointer].is_null()) return "";
  if (!row[pointer].is_string()) return row[pointer].dump();
  std::string quoted = "\"";
  for (char c : row[pointer].get<std::string>()) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// Null for no path. InvalidArgument: it cannot be written.
absl::StatusOr<std::shared_ptr<std::ostream>> OpenFile(const std::string& path) {
  if (path.empty()) return nullptr;
  if (path == "-") return std::shared_ptr<std::ostream>(&std::cout, [](std::ostream*) {});
  auto file = std::make_shared<std::ofstream>(path, std::ios::trunc);
  if (!*file) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  return file;
}

}  // namespace

std::string OutputOptions::Conflict() const {
  int on_stdout = (json ? 1 : 0) + (jsonl == "-" ? 1 : 0) + (csv == "-" ? 1 : 0);
  return on_stdout > 1 ? "only one of --json, --jsonl - and --csv - can go to standard output" : "";
}

nlohmann::json DocumentHead(const std::string& command, const std::string& target) {
  utsname system{};
  uname(&system);
  nlohmann::json head = {{"schema_version", 1},         {"command", command},
                         {"version", NETSENSE_VERSION}, {"hostname", system.nodename},
                         {"kernel", system.release},    {"cpu", ProcessorName()},
                         {"arguments", Arguments()},    {"started_at_ms", EpochMillis()}};
  if (!target.empty()) head["target"] = target;
  return head;
}

int UnlessLost(bool files_whole, int code) {
  std::cout << std::flush;
  if (std::cout && files_whole) return code;
  std::cerr << "netsense-bench: the results could not be written whole: no space left, or the reader is gone\n";
  return kCouldNotMeasure;
}

Results::Results(const OutputOptions& options, nlohmann::json head)
    : options_(options),
      for_people_(!options.json && options.jsonl != "-" && options.csv != "-"),
      document_(std::move(head)) {}

absl::StatusOr<Results> Results::Begin(const OutputOptions& options, const std::string& command,
                                       const std::string& target) {
  if (std::string conflict = options.Conflict(); !conflict.empty()) return absl::InvalidArgumentError(conflict);
  Results results(options, DocumentHead(command, target));
  ASSIGN_OR_RETURN(auto jsonl, JsonLines::Create(options.jsonl));
  ASSIGN_OR_RETURN(auto csv, OpenFile(options.csv));
  results.jsonl_ = std::move(jsonl);
  results.csv_ = std::move(csv);
  results.jsonl_.Write(results.document_);
  if (results.csv_ != nullptr) {
    std::string line;
    for (const Column& column : kColumns) absl::StrAppend(&line, line.empty() ? "" : ",", column.name);
    *results.csv_ << line << std::endl;
  }
  results.document_["results"] = nlohmann::json::array();
  results.document_["checks"] = nlohmann::json::array();
  return results;
}

void Results::Check(const nlohmann::json& row) {
  auto demand = [&](const std::optional<double>& limit, const char* path, const char* name, bool at_least) {
    const nlohmann::json::json_pointer pointer(path);
    if (!limit || !row.contains(pointer)) return;
    const nlohmann::json& value = row[pointer];
    // What is not known has not reached anything.
    const bool passed = value.is_number() && (at_least ? value.get<double>() >= *limit : value.get<double>() <= *limit);
    document_["checks"].push_back({{"row", document_["results"].size()},
                                   {"check", name},
                                   {"limit", *limit},
                                   {"value", value},
                                   {"passed", passed}});
    if (passed) return;
    exit_code_ = std::max(exit_code_, value.is_number() ? kBelowThreshold : kCouldNotMeasure);
    std::cerr << fmt::format("netsense-bench: {}: {} is {}, and {} {} was demanded\n",
                             row.value("transport", std::string()), path + 1,
                             value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : "not known",
                             at_least ? "at least" : "at most", *limit);
  };
  demand(options_.min_bw_gbps, "/bw_gbps/avg", "min_bw_gbps", true);
  demand(options_.max_rtt_us, "/network_rtt_us/p50", "max_rtt_us", false);
  demand(options_.min_percent, "/expected/percent", "expect_percent", true);
}

void Results::Emit(const nlohmann::json& row) {
  jsonl_.Write(row);
  if (csv_ == nullptr) return;
  std::string line;
  for (const Column& column : kColumns)
    absl::StrAppend(&line, &column == kColumns ? "" : ",", CsvCell(row, column.path));
  *csv_ << line << std::endl;
}

void Results::Add(nlohmann::json row, const std::string& table) {
  if (for_people_) std::cout << table << std::flush;
  if (const auto ended = row.find("ended_by"); ended != row.end()) {
    std::cerr << "netsense-bench: " << row.value("transport", std::string()) << ": "
              << ended->value("message", std::string()) << "\n";
    exit_code_ = std::max(exit_code_, kCouldNotMeasure);
  }
  Check(row);
  Emit(row);
  document_["results"].push_back(std::move(row));
}

void Results::AddFailure(nlohmann::json row, const absl::Status& status) {
  std::cerr << "netsense-bench: " << row.value("transport", std::string()) << ": " << status.message() << "\n";
  exit_code_ = std::max(exit_code_, absl::IsInvalidArgument(status) ? kUsage : kCouldNotMeasure);
  Emit(row);
  document_["results"].push_back(std::move(row));
}

void Results::Say(const std::string& text) {
  if (for_people_) std::cout << text << std::flush;
}

int Results::Finish(bool interrupted) {
  if (interrupted && document_["results"].empty()) {
    std::cerr << "netsense-bench: interrupted before anything was measured\n";
    exit_code_ = std::max(exit_code_, kCouldNotMeasure);
  }
  document_["ended_at_ms"] = EpochMillis();
  document_["interrupted"] = interrupted;
  jsonl_.Write(
      {{"ended_at_ms", document_["ended_at_ms"]}, {"interrupted", interrupted}, {"checks", document_["checks"]}});
  if (options_.json) std::cout << DumpText(document_, 2) << "\n";
  return UnlessLost(!jsonl_.failed() && (csv_ == nullptr || *csv_), exit_code_);
}

}  // namespace netsense
