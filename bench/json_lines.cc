#include "bench/json_lines.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

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

std::string DumpText(const nlohmann::json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<JsonLines> JsonLines::Create(const std::string& path) {
  JsonLines lines;
  lines.path_ = path;
  lines.to_stdout_ = path == "-";
  if (path.empty() || lines.to_stdout_) return lines;
  lines.file_.open(path, std::ios::trunc);
  if (!lines.file_) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  return lines;
}

absl::StatusOr<JsonLines> JsonLines::Append(const std::string& path) {
  ASSIGN_OR_RETURN(auto length, WholeLines(path));
  std::error_code error;
  std::filesystem::resize_file(path, length, error);
  JsonLines lines;
  lines.path_ = path;
  if (!error) lines.file_.open(path, std::ios::app);
  if (error || !lines.file_)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot append to ", path, ": ", error ? error.message() : strerror(errno)));
  return lines;
}

void JsonLines::Write(const nlohmann::json& object) {
  if (to_stdout_) std::cout << DumpText(object) << std::endl;
  if (!file_.is_open() || failed_) return;
  errno = 0;
  failed_ = !(file_ << DumpText(object) << std::endl);
  if (failed_)
    std::cerr << "netsense-bench: cannot write " << path_ << ": " << strerror(errno)
              << ": what comes from now on is not in it\n";
}

}  // namespace netsense
