// Where results go: tables or one JSON document on stdout, JSON Lines and CSV while running; and what was demanded of
// them. docs/results.md says what the document is.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/json_lines.h"

namespace netsense {

struct OutputOptions {
  bool json = false;
  std::string jsonl;  // file; "-" = stdout, empty = none
  std::string csv;
  // What a row must reach.
  std::optional<double> min_bw_gbps;
  std::optional<double> max_rtt_us;   // of the median of network round trips
  std::optional<double> min_percent;  // of the expected bandwidth
  std::string Conflict() const;       // what cannot be had together, in words; empty = nothing
};

// The document without its results: schema_version, command, target, versions, host, kernel, processor, arguments,
// start.
nlohmann::json DocumentHead(const std::string& command, const std::string& target);

// Flushes standard output. `code`, unless that or a file (`files_whole`) could not be written: then it says so.
int UnlessLost(bool files_whole, int code);

// Rows as they come, and the document at the end. Used by one thread.
class Results {
 public:
  // Unavailable: a file that cannot be written.
  static absl::StatusOr<Results> Begin(const OutputOptions& options, const std::string& command,
                                       const std::string& target);

  // `table` goes to stdout where nothing else does. A row that an error ended early (`ended_by`) is kept, and its error
  // is said.
  void Add(nlohmann::json row, const std::string& table = "");
  // A row with an error; also said on stderr. `usage`: the fault is in what was asked for.
  void AddFailure(nlohmann::json row, const absl::Status& status);
  // What moved in a second of a measurement that runs: into the JSON Lines alone, and no row (kIntervalKind).
  void AddInterval(const nlohmann::json& interval) { jsonl_.Write(interval); }
  // A line for people.
  void Say(const std::string& text);
  bool for_people() const { return for_people_; }

  // Prints the document where it was asked for. The exit code: what could not be measured first, then the thresholds.
  int Finish(bool interrupted);

 private:
  Results(const OutputOptions& options, nlohmann::json head);
  void Check(const nlohmann::json& row);
  void Emit(const nlohmann::json& row);

  OutputOptions options_;
  bool for_people_ = true;
  nlohmann::json document_;
  JsonLines jsonl_;
  std::shared_ptr<std::ostream> csv_;  // null = none
  int exit_code_ = 0;
};

}  // namespace netsense
