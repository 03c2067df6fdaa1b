// A program as a child of this process: found, started, and how it ended.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace netsense {

// A program of ours: beside this program's own file, or in ../libexec/netsense; empty when it is in neither.
std::string FindBesideUs(const std::string& name);

struct ChildProgram {
  // The one descriptor, besides standard input, output and error, that a child can be given.
  static constexpr int kDescriptor = 3;

  std::string path;                           // or a name to look for in PATH
  std::vector<std::string> arguments = {};    // without the program's own name
  std::vector<std::string> environment = {};  // "NAME=value", where this process has no such variable
  int descriptor = -1;                        // of this process: kDescriptor of the child; -1 = none
  int standard_error = -1;                    // of this process, above kDescriptor; -1 = the one that this process has
  bool stdout_to_stderr = false;
};

// Its process id; who starts it has to wait for its end. It has the environment of this process, but for what a service
// manager says to this process alone; a process group of its own, so that Ctrl-C reaches its parent alone; no signal
// blocked, and SIGPIPE as programs expect it. Unavailable: it cannot be started, and why. Thread-safe.
absl::StatusOr<int> Spawn(const ChildProgram& program);

// "ended with exit code 1", "was killed by signal 9 (Killed)", of a status as waitpid() has it.
std::string DescribeEnd(int wait_status);

}  // namespace netsense
