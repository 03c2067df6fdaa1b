#include "bench/matrix/record.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

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

// Length of the file up to and with its last newline.
absl::StatusOr<std::uintmax_t> WholeLines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::UnavailableError(absl::StrCat("cannot read ", path, ": ", strerror(errno)));
  file.seekg(0, std::ios::end);
  auto length = static_cast<std::uintmax_t>(file.tellg());
  for (; length > 0; --length) {
    file.seekg(static_cast<std::streamoff>(length) - 1);
    if (file.get() == '\n') break;
  }
  return length;
}

}  // namespace

std::string Dump(const nlohmann::json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

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

absl::StatusOr<Lines> Lines::Create(const std::string& path) {
  Lines lines;
  lines.path_ = path;
  lines.to_stdout_ = path == "-";
  if (path.empty() || lines.to_stdout_) return lines;
  lines.file_.open(path, std::ios::trunc);
  if (!lines.file_) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  return lines;
}

absl::StatusOr<Lines> Lines::Append(const std::string& path) {
  auto length = WholeLines(path);
  if (!length.ok()) return length.status();
  std::error_code error;
  std::filesystem::resize_file(path, *length, error);
  Lines lines;
  lines.path_ = path;
  if (!error) lines.file_.open(path, std::ios::app);
  if (error || !lines.file_)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot append to ", path, ": ", error ? error.message() : strerror(errno)));
  return lines;
}

void Lines::Write(const nlohmann::json& object) {
  if (to_stdout_) std::cout << Dump(object) << std::endl;
  if (!file_.is_open() || !file_) return;
  errno = 0;
  if (!(file_ << Dump(object) << std::endl))
    std::cerr << "netsense-bench: cannot write " << path_ << ": " << strerror(errno)
              << ": what comes from now on is not in it\n";
}

}  // namespace netsense::matrix
