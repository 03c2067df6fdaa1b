// Keeps an engine running as a child of the bridge.
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace netsense {

// netsense-engine beside this program's own file, else the one that PATH finds.
std::string FindEngineProgram();

// Starts the engine, and starts it again when it ends: after 100 ms at first, then twice as long each time up to 2 s,
// and after 100 ms again once it has lived for 10 s. The child is in a process group of its own (Ctrl-C reaches the
// bridge alone, which then stops it), inherits standard input, output and error only, and has no signal blocked.
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
  void RequestStop() { thread_.request_stop(); }
  // Why there is no engine now, in words; empty while one runs. Thread-safe.
  std::string problem() const;

 private:
  void Supervise(std::stop_token stop);
  // -1 = could not start; problem() says why.
  int Start();
  void Follow(int pid, std::stop_token stop);
  void SetProblem(std::string problem);

  const Options options_;
  mutable std::mutex mutex_;
  std::string problem_;
  std::jthread thread_;
};

// SIGTERM, SIGKILL deadlines::kEngineEnd later; returns when the process behind `pidfd` has ended.
void EndProcess(const UniqueFd& pidfd);

}  // namespace netsense
