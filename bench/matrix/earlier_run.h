// A matrix run before, that goes on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

}  // namespace netsense::matrix
