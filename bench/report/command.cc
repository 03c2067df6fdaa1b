#include "bench/command.h"

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bench/report/report.h"

namespace netsense {
namespace {

struct Request {
  std::vector<std::string> results;
  std::string output = "report.html";
};

int Run(const Request& request) {
  auto fail = [](const absl::Status& status, int code) {
    std::cerr << "netsense-bench: " << status.message() << "\n";
    return code;
  };
  std::vector<ResultFile> files;
  const bool terminal = isatty(STDERR_FILENO) != 0;  // a large file takes seconds
  for (const std::string& path : request.results) {
    if (terminal) std::cerr << "netsense-bench: reading " << path << " ..." << std::endl;
    auto file = ReadResultFile(path, RowsForPage());
    if (!file.ok()) return fail(file.status(), kUsage);
    files.push_back(*std::move(file));
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string page = ReportPage(files, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (auto status = WriteWhole(request.output, page); !status.ok()) return fail(status, kUsage);
  size_t rows = 0;
  for (const ResultFile& file : files) rows += file.document.at("results").size();
  std::cout << absl::StrCat(request.output, ": ", rows, " rows of ", files.size(),
                            files.size() == 1 ? " result, " : " results, ", (page.size() + 1023) / 1024, " KiB")
            << std::endl;
  return kGood;
}

}  // namespace

Command AddReport(CLI::App& program) {
  auto request = std::make_shared<Request>();
  CLI::App* app = program.add_subcommand("report", "one HTML file to look at, from any results");
  app->add_option("RESULT", request->results, "results: JSON documents or JSON Lines, in the order of the page")
      ->required();
  app->add_option("-o,--output", request->output, "file to write; it needs nothing beside it and no network")
      ->capture_default_str();
  app->footer("Exit codes: 0 written, 2 usage, a bad result, or a file that cannot be written.");
  return {app, [request](const std::stop_token&) { return Run(*request); }};
}

}  // namespace netsense
