// Rows as JSON Lines, written one by one: what a killed run leaves is whole lines, but for the last one.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

class JsonLines {
 public:
  // Nothing is written to an empty path; "-" is stdout. InvalidArgument: it cannot be written.
  static absl::StatusOr<JsonLines> Create(const std::string& path);
  // Behind the last whole line: what is left of one that was cut off is removed.
  static absl::StatusOr<JsonLines> Append(const std::string& path);
  // At once. Says so once when it cannot, as when the disk is full, and leaves it.
  void Write(const nlohmann::json& object);
  bool failed() const { return failed_; }

 private:
  std::string path_;
  std::ofstream file_;
  bool to_stdout_ = false;
  bool failed_ = false;
};

// With what is no UTF-8 replaced: names come from other hosts.
std::string DumpText(const nlohmann::json& json, int indent = -1);

}  // namespace netsense
