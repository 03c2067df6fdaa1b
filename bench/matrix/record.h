// The rows of a matrix run: those of a run before that goes on, and a JSON Lines file that grows by each row.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace netsense::matrix {

// A run before, as a document or as JSON Lines (docs/results.md).
struct EarlierRun {
  nlohmann::json head;
  std::vector<nlohmann::json> rows;  // without those that failed: they are tried again
  bool is_lines = false;             // JSON Lines, that can be appended to
  std::string note;                  // what was odd about the file and did not matter; empty = nothing
};
// InvalidArgument, NotFound or Unavailable with words that name the file.
absl::StatusOr<EarlierRun> ReadEarlierRun(const std::string& path);

// Writes each line at once; what a killed run leaves is whole lines, but for the last one.
class Lines {
 public:
  // Nothing is written to an empty path; "-" is stdout.
  static absl::StatusOr<Lines> Create(const std::string& path);
  // Behind the last whole line: what is left of one that was cut off is removed.
  static absl::StatusOr<Lines> Append(const std::string& path);
  // Says so once when it cannot, as when the disk is full, and leaves it.
  void Write(const nlohmann::json& object);

 private:
  std::string path_;
  std::ofstream file_;
  bool to_stdout_ = false;
};

// With what is no UTF-8 replaced: names come from other hosts.
std::string Dump(const nlohmann::json& json, int indent = -1);

}  // namespace netsense::matrix
