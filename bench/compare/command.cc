#include "bench/command.h"

#include <iostream>
#include <memory>

#include "base/flag_checks.h"
#include "bench/compare/compare.h"

namespace netsense {
namespace {

struct Request {
  std::string a, b;
  NoiseRule rule;
  std::vector<std::string> ignored;
  bool json = false;
  bool all = false;
};

// Only the figures that are compared: a distribution also holds a hundred percentiles.
void DropPercentiles(nlohmann::json& row) {
  for (const char* name : {"rtt_us", "network_rtt_us", "responder_hold_us", "host_delay_us"})
    if (auto found = row.find(name); found != row.end() && found->is_object()) found->erase("percentiles");
}

int Run(const Request& request) {
  auto fail = [](const absl::Status& status) {
    std::cerr << "netsense-bench: " << status.message() << "\n";
    return kUsage;
  };
  auto a = ReadResultFile(request.a, DropPercentiles);
  if (!a.ok()) return fail(a.status());
  auto b = ReadResultFile(request.b, DropPercentiles);
  if (!b.ok()) return fail(b.status());
  for (const ResultFile* file : {&*a, &*b})
    if (!file->note.empty()) std::cerr << "netsense-bench: " << file->path << ": " << file->note << "\n";
  auto comparison = Compare(*a, *b, request.rule, request.ignored);
  if (!comparison.ok()) return fail(comparison.status());
  if (request.json) {
    // Names may hold anything: what is no UTF-8 is replaced.
    std::cout << ComparisonJson(*comparison, request.rule, *a, *b)
                     .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << ComparisonTable(*comparison, request.rule, request.all);
  }
  std::cout.flush();
  if (!std::cout) return fail(absl::UnavailableError("the comparison cannot be written"));
  return comparison->AnythingWorse() ? kBelowThreshold : kGood;
}

}  // namespace

Command AddCompare(CLI::App& program) {
  auto request = std::make_shared<Request>();
  CLI::App* app = program.add_subcommand("compare", "what became slower from one result to another, and what is noise");
  app->add_option("A", request->a, "result before: JSON document or JSON Lines")->required();
  app->add_option("B", request->b, "result after")->required();
  app->add_option("--threshold", request->rule.threshold_percent, "percent by which medians must differ to count")
      ->check(NumberBetween(0.1, 1000))
      ->capture_default_str();
  app->add_option("--ignore", request->ignored,
                  "fields that do not tell measurements apart, as target,source where the hosts' names changed")
      ->delimiter(',');
  app->add_flag("--all", request->all, "list what is the same too, however much it is");
  app->add_flag("--json", request->json, "one JSON document on stdout");
  app->footer("Rule: " + NoiseRule().Text() +
              "\nExit codes: 0 nothing is slower, 1 something is slower or failed in B only, 2 usage or a bad file.");
  return {app, [request](const std::stop_token&) { return Run(*request); }};
}

}  // namespace netsense
