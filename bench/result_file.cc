#include "bench/result_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

using Json = nlohmann::json;

constexpr int kSchemaVersion = 1;
constexpr int kDeepest = 32;  // levels of nesting; ours have 8

// Why a row cannot be one; "" for a good one.
std::string BadRow(const Json& row) {
  if (!row.is_object()) return "is no object";
  if (TextOf(row, "kind").empty()) return "has no `kind`";
  return "";
}

std::string BadHead(const Json& head) {
  auto version = head.find("schema_version");
  if (version == head.end() || !version->is_number_integer())
    return "is no result of netsense-bench: it has no `schema_version`";
  if (*version != kSchemaVersion)
    return absl::StrCat("has schema version ", version->dump(), "; this program reads ", kSchemaVersion);
  return "";
}

// Follows the parser: refuses what is too deep, and hands each row to the filter.
class Watcher {
 public:
  Watcher(const RowFilter& filter, bool is_row) : filter_(filter), is_row_(is_row) {}
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) throw std::length_error("is nested too deeply");
    if (event == Json::parse_event_t::key && depth == 1) in_results_ = parsed == "results";
    const bool row_ends = is_row_ ? depth == 0 : depth == 2 && in_results_;
    if (event == Json::parse_event_t::object_end && row_ends && filter_) filter_(parsed);
    return true;
  }

 private:
  const RowFilter& filter_;
  const bool is_row_;
  bool in_results_ = false;
};

// Of nlohmann's "[json.exception...] parse error at line 1, column 5: ..." what follows the bracket.
std::string Reason(const Json::exception& error) {
  std::string text = error.what();
  const size_t bracket = text.find("] ");
  return bracket == std::string::npos ? text : text.substr(bracket + 2);
}

// Where the parser stopped in it: ", line 3". A text is one line, and its caller says which.
std::string PlaceOf(std::istream& in) {
  in.clear();
  const std::streamoff stopped = in.tellg();
  in.seekg(0);
  size_t line = 1;
  for (std::streamoff i = 0; i < stopped; ++i)
    if (in.get() == '\n') ++line;
  return absl::StrCat(", line ", line);
}
std::string PlaceOf(const std::string&) { return ""; }

// InvalidArgument for what is no JSON, as a line that is cut off; OutOfRange for what no document of ours has.
template <typename Input>
absl::StatusOr<Json> Parse(Input& input, const RowFilter& filter, bool is_row) {
  try {
    return Json::parse(input, Watcher(filter, is_row));
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat("is no JSON: ", Reason(error)));
  } catch (const Json::out_of_range& error) {  // "number overflow parsing '1e999'"
    return absl::OutOfRangeError(absl::StrCat("cannot be read: ", Reason(error), PlaceOf(input)));
  } catch (const std::length_error& error) {
    return absl::OutOfRangeError(absl::StrCat(error.what(), PlaceOf(input)));
  }
}

absl::Status Bad(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(path, " ", why));
}

// What failed in an earlier run (the first `earlier` rows) and was measured by one that went on with it.
void DropFailuresMeasuredSince(size_t earlier, Json* rows) {
  auto failed = [](const Json& row) { return row.contains("error"); };
  std::set<MatrixKey> measured;
  for (size_t i = earlier; i < rows->size(); ++i)
    if (!failed((*rows)[i])) measured.insert(MatrixKeyOf((*rows)[i]));
  Json kept = Json::array();
  for (size_t i = 0; i < rows->size(); ++i)
    if (i >= earlier || !failed((*rows)[i]) || !measured.contains(MatrixKeyOf((*rows)[i])))
      kept.push_back(std::move((*rows)[i]));
  *rows = std::move(kept);
}

// The first line is the head, each other one a row, or more of the head (what is known only at the end), or the head of
// a run that goes on with this one.
absl::StatusOr<ResultFile> ReadLines(const std::string& path, Json head, std::istream& in, const RowFilter& filter) {
  ResultFile file{.path = path, .document = std::move(head), .note = "", .is_lines = true};
  Json rows = Json::array();
  size_t earlier = 0;  // rows of the runs before the last one
  std::string line;
  for (size_t number = 2; std::getline(in, line); ++number) {
    const bool cut = in.eof();  // without the newline that ends a whole line
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto parsed = Parse(line, filter, true);
    if (absl::IsInvalidArgument(parsed.status()) && cut) {
      file.note = absl::StrCat("Line ", number, " is cut off: the run did not come to its end.");
      break;
    }
    if (!parsed.ok()) return Bad(path, absl::StrCat("line ", number, " ", parsed.status().message()));
    if (parsed->is_object() && !parsed->contains("kind")) {
      // A head begins another run (`matrix --resume`): what was known at the end of the one before says nothing of it.
      if (parsed->contains("schema_version")) {
        file.document = *std::move(parsed);
        earlier = rows.size();
      } else {
        file.document.update(*parsed);
      }
      continue;
    }
    if (std::string why = BadRow(*parsed); !why.empty()) return Bad(path, absl::StrCat("line ", number, " ", why));
    if (TextOf(*parsed, "kind") == kIntervalKind) continue;
    rows.push_back(*std::move(parsed));
  }
  if (earlier > 0) DropFailuresMeasuredSince(earlier, &rows);
  file.document["results"] = std::move(rows);
  return file;
}

// Whether the first line is a whole object by itself, and no `results` in it: then it is the head of JSON Lines.
bool IsHead(const std::string& line, Json* head) {
  auto parsed = Parse(line, {}, false);
  if (!parsed.ok()) return false;
  *head = *std::move(parsed);
  return head->is_object() && !head->contains("results") && head->contains("schema_version");
}

}  // namespace

std::string TextOf(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<double> NumberOf(const Json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

const Json& ObjectOf(const Json& object, const char* name) {
  static const Json* const empty = new Json(Json::object());
  auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : *empty;
}

MatrixKey MatrixKeyOf(const Json& row) {
  return {TextOf(row, "kind"),      TextOf(row, "source"),
          TextOf(row, "target"),    TextOf(row, "transport"),
          TextOf(row, "direction"), static_cast<uint32_t>(std::clamp(NumberOf(row, "repeat").value_or(1), 1.0, 1e6))};
}

absl::StatusOr<ResultFile> ReadResultFile(const std::string& path, const RowFilter& filter) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return Bad(path, "is a folder, not a result document");
  std::ifstream in(path, std::ios::binary);
  if (!in && errno == ENOENT) return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  if (!in) return absl::UnavailableError(absl::StrCat(path, " cannot be read: ", strerror(errno)));

  // A document may be one long line: only as much of it is looked at as a head may have.
  constexpr size_t kLongestHead = 64 << 20;
  std::string start(4096, '\0');
  std::string first;
  while (first.find('\n') == std::string::npos && first.size() < kLongestHead && in) {
    in.read(start.data(), static_cast<std::streamsize>(start.size()));
    first.append(start, 0, static_cast<size_t>(in.gcount()));
    if (first.size() > start.size() && first.find("\"results\"") != std::string::npos) break;
  }
  if (first.find_first_not_of(" \t\r\n") == std::string::npos) return Bad(path, "is empty");
  const size_t end_of_line = first.find('\n');
  Json head;
  if (IsHead(first.substr(0, end_of_line), &head)) {
    if (std::string why = BadHead(head); !why.empty()) return Bad(path, why);
    in.clear();
    in.seekg(end_of_line == std::string::npos ? 0 : static_cast<std::streamoff>(end_of_line) + 1,
             end_of_line == std::string::npos ? std::ios::end : std::ios::beg);
    return ReadLines(path, std::move(head), in, filter);
  }

  in.clear();
  in.seekg(0);
  auto document = Parse(in, filter, false);
  if (!document.ok()) return Bad(path, document.status().message());
  if (!document->is_object()) return Bad(path, "is no result of netsense-bench: it is no JSON object");
  if (std::string why = BadHead(*document); !why.empty()) return Bad(path, why);
  auto rows = document->find("results");
  if (rows == document->end() || !rows->is_array())
    return Bad(path, "is no result of netsense-bench: it has no `results`");
  for (size_t i = 0; i < rows->size(); ++i)
    if (std::string why = BadRow((*rows)[i]); !why.empty()) return Bad(path, absl::StrCat("row ", i + 1, " ", why));
  return ResultFile{.path = path, .document = *std::move(document)};
}

}  // namespace netsense
