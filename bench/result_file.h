// Reads the result documents of netsense-bench (docs/results.md), as JSON and as JSON Lines.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"

namespace netsense {

struct ResultFile {
  std::string path;
  nlohmann::json document;  // an object; `results` is an array of objects, each with a `kind`
  std::string note = {};    // what is odd about it and still readable, in a sentence; empty = nothing
  bool is_lines = false;    // JSON Lines, that can be appended to
};

// Lines of this kind tell how a measurement went while it ran: whoever reads results drops them.
inline constexpr char kIntervalKind[] = "interval";

// Called for each row as soon as it is parsed, and may make it smaller: a matrix of 256 nodes has 130,000 rows.
using RowFilter = std::function<void(nlohmann::json& row)>;

// InvalidArgument for a file that is no result document, NotFound or Unavailable for one that cannot be read; every
// message names the file. A JSON Lines file whose last line is cut off (the writer was killed) is read up to there.
absl::StatusOr<ResultFile> ReadResultFile(const std::string& path, const RowFilter& filter = {});

// What a row or head holds under a name; what is absent or of another type is "" or nothing.
std::string TextOf(const nlohmann::json& object, const char* name);
std::optional<double> NumberOf(const nlohmann::json& object, const char* name);
// The object under a name; an empty one where there is none.
const nlohmann::json& ObjectOf(const nlohmann::json& object, const char* name);

// What a row of `matrix` measures: kind, source, target, transport, direction; and the repeat, from 1.
using MatrixKey = std::tuple<std::string, std::string, std::string, std::string, std::string, uint32_t>;
MatrixKey MatrixKeyOf(const nlohmann::json& row);

}  // namespace netsense
