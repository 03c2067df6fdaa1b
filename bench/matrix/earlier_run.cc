#include "bench/matrix/earlier_run.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "bench/result_file.h"

namespace netsense::matrix {

absl::StatusOr<EarlierRun> ReadEarlierRun(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, ReadResultFile(path));
  if (TextOf(file.document, "command") != "matrix")
    return absl::InvalidArgumentError(absl::StrCat(path, " is no result of `netsense-bench matrix`"));
  EarlierRun run;
  run.note = file.note;
  for (nlohmann::json& row : file.document["results"])
    if (!row.contains("error")) run.rows.push_back(std::move(row));
  run.head = std::move(file.document);
  run.head.erase("results");
  run.is_lines = file.is_lines;
  return run;
}

}  // namespace netsense::matrix
