// A subcommand of netsense-bench: where it stands in the command line, and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stop_token>

namespace netsense {

inline constexpr int kGood = 0;
inline constexpr int kBelowThreshold = 1;  // measured, and not good enough
inline constexpr int kUsage = 2;
inline constexpr int kCouldNotMeasure = 3;

struct Command {
  CLI::App* app;                                   // owned by the program's CLI::App
  std::function<int(const std::stop_token&)> run;  // gives the exit code; the stop token is Ctrl-C
};

// One function a command, each in the file of its name; main.cc lists them.
Command AddServe(CLI::App& program);
Command AddPing(CLI::App& program);
Command AddBandwidth(CLI::App& program);
Command AddSweep(CLI::App& program);
Command AddLoaded(CLI::App& program);
Command AddMatrix(CLI::App& program);
Command AddTopo(CLI::App& program);
Command AddCompare(CLI::App& program);
Command AddReport(CLI::App& program);

}  // namespace netsense
