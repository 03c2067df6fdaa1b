#include "bench/matrix/earlier_run.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "bench/result_file.h"

namespace netsense::matrix {
namespace {

bool StartsWithHead(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  auto head = nlohmann::json::parse(line, nullptr, false);
  return head.is_object() && head.contains("schema_version") && !head.contains("results");
}

}  // namespace

absl::StatusOr<EarlierRun> ReadEarlierRun(const std::string& path) {
  auto file = ReadResultFile(path);
  if (!file.ok()) return file.status();
  if (TextOf(file->document, "command") != "matrix")
    return absl::InvalidArgumentError(absl::StrCat(path, " is no result of `netsense-bench matrix`"));
  EarlierRun run;
  run.note = file->note;
  for (nlohmann::json& row : file->document["results"])
    if (!row.contains("error")) run.rows.push_back(std::move(row));
  run.head = std::move(file->document);
  run.head.erase("results");
  run.is_lines = StartsWithHead(path);
  return run;
}

}  // namespace netsense::matrix
