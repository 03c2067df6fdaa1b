// Untrusted: result documents, as JSON and as JSON Lines, that somebody sent: for compare, report and --resume. The
// input is one document, or two with a line "=====" between them. What must hold: a document compared with itself has
// nothing that is worse; the report is one page whose data stay data; and what a killed run left can be gone on with.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/compare/compare.h"
#include "bench/json_lines.h"
#include "bench/matrix/earlier_run.h"
#include "bench/report/page.h"
#include "bench/report/report.h"
#include "bench/result_file.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/memory_file.h"

namespace netsense::fuzz {
namespace {

constexpr nlohmann::json::error_handler_t kReplace = nlohmann::json::error_handler_t::replace;

size_t Count(std::string_view text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) ++count;
  return count;
}

void CompareBoth(const ResultFile& a, const ResultFile& b) {
  const auto comparison = Compare(a, b, {});
  if (!comparison.ok()) return;
  MustHold(nlohmann::json::accept(ComparisonJson(*comparison, {}, a, b).dump(-1, ' ', false, kReplace)),
           "a comparison is JSON");
  (void)ComparisonTable(*comparison, {}, true);
  if (&a == &b) MustHold(!comparison->AnythingWorse(), "nothing is worse than itself");
}

void Report(const ResultFile& file) {
  const std::string empty = ReportPage({}, 0), page = ReportPage({file}, 0);
  for (const char* tag : {"<script", "</script", "<style", "</style", "<!--"})
    MustHold(Count(page, tag) == Count(empty, tag), "no data of a report becomes markup");
}

// What a run that goes on with the file appends to it.
void Resume(const MemoryFile& file) {
  const auto run = matrix::ReadEarlierRun(file.path());
  if (!run.ok() || !run->is_lines) return;
  {
    auto lines = JsonLines::Append(file.path());
    MustHold(lines.ok(), "what was read can be appended to");
    lines->Write(run->head);
    lines->Write({{"kind", "ping"}, {"source", "a"}, {"target", "b"}});
  }
  const auto again = matrix::ReadEarlierRun(file.path());
  MustHold(again.ok() && again->note.empty(), "what was gone on with can be read, and is whole");
  MustHold(again->rows.size() == run->rows.size() + 1, "no row is lost when a run is gone on with");
}

void Run(std::string_view bytes) {
  Input input(bytes);
  const MemoryFile first(input.TakeUntil("\n=====\n")), second(input.Rest());
  const auto a = ReadResultFile(first.path()), b = ReadResultFile(second.path(), RowsForPage());
  for (const auto* file : {&a, &b}) {
    if (!file->ok()) continue;
    MustHold((*file)->document.at("results").is_array(), "a document has rows");
    CompareBoth(**file, **file);
    Report(**file);
  }
  if (a.ok() && b.ok()) CompareBoth(*a, *b);
  if (a.ok()) Resume(first);
}

const Harness kHarness("results", Run);

}  // namespace
}  // namespace netsense::fuzz
