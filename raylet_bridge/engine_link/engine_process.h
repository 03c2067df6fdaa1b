// Keeps an engine running as a child of the bridge.
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/supervisor.h"
#include "base/unique_fd.h"

namespace netsense {

// The path of netsense-engine beside this program or in ../libexec/netsense, else its name, for PATH to find.
std::string FindEngineProgram();

// Starts the engine, and starts it again when it ends: after 100 ms at first, then twice as long each time up to 2 s,
// and after 100 ms again once it has lived for 10 s.
class EngineProcess {
 public:
  struct Options {
    std::string program;                                  // a path, or a name to look for in PATH
    std::function<std::vector<std::string>()> arguments;  // asked at each start; called on the supervisor's thread
    int adopt_pid = 0;  // an engine that runs already: followed as if it were the child; 0 = none
  };
  explicit EngineProcess(Options options);
  // SIGTERM, SIGKILL deadlines::kEngineEnd later, and waits for the end.
  ~EngineProcess();
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  // Begins to stop, without waiting. The destructor waits.
  void RequestStop() { supervisor_.RequestStop(); }
  // Why there is no engine now, in words and, where it could say it, in its own; empty once one has run for two
  // seconds. Thread-safe.
  std::string problem() const;

 private:
  // One engine until its end, which is said in words.
  std::string RunOne(const std::stop_token& stop);
  std::string Follow(int pid, const std::stop_token& stop);
  void SetProblem(std::string problem);

  const Options options_;
  int adopt_pid_;  // of the supervisor's thread; 0 = none, or not any more
  mutable std::mutex mutex_;
  std::string problem_;
  Supervisor supervisor_;  // uses all of the above
};

// SIGTERM, SIGKILL deadlines::kEngineEnd later; returns when the process behind `pidfd` has ended.
void EndProcess(const UniqueFd& pidfd);

}  // namespace netsense
