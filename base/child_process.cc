#include "base/child_process.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

// By these a service manager speaks to the program that it started.
bool IsOursAlone(const char* variable) {
  const absl::string_view words(variable);
  return absl::StartsWith(words, "NOTIFY_SOCKET=") || absl::StartsWith(words, "WATCHDOG_USEC=") ||
         absl::StartsWith(words, "WATCHDOG_PID=");
}

std::vector<char*> EnvironmentOf(const ChildProgram& program) {
  std::vector<char*> variables;
  for (char** each = environ; *each != nullptr; ++each)
    if (!IsOursAlone(*each)) variables.push_back(*each);
  for (const std::string& variable : program.environment)
    if (getenv(variable.substr(0, variable.find('=')).c_str()) == nullptr)
      variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(nullptr);
  return variables;
}

std::vector<char*> ArgumentsOf(const ChildProgram& program) {
  std::vector<char*> words = {const_cast<char*>(program.path.c_str())};
  for (const std::string& word : program.arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  return words;
}

struct Attributes {
  Attributes() {
    posix_spawnattr_init(&raw);
    posix_spawnattr_setflags(&raw, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    sigset_t none, pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawnattr_setsigmask(&raw, &none);
    posix_spawnattr_setsigdefault(&raw, &pipe);
    posix_spawnattr_setpgroup(&raw, 0);
  }
  ~Attributes() { posix_spawnattr_destroy(&raw); }
  posix_spawnattr_t raw;
};

struct FileActions {
  explicit FileActions(const ChildProgram& program) {
    posix_spawn_file_actions_init(&raw);
    int first_closed = STDERR_FILENO + 1;
    if (program.descriptor >= 0) {
      posix_spawn_file_actions_adddup2(&raw, program.descriptor, ChildProgram::kDescriptor);
      first_closed = ChildProgram::kDescriptor + 1;
    }
    if (program.standard_error >= 0) posix_spawn_file_actions_adddup2(&raw, program.standard_error, STDERR_FILENO);
    if (program.stdout_to_stderr) posix_spawn_file_actions_adddup2(&raw, STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&raw, first_closed);
  }
  ~FileActions() { posix_spawn_file_actions_destroy(&raw); }
  posix_spawn_file_actions_t raw;
};

}  // namespace

std::string FindBesideUs(const std::string& name) {
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  for (const auto& place : {own.parent_path() / name, own.parent_path() / "../libexec/netsense" / name})
    if (access(place.c_str(), X_OK) == 0) return place.string();
  return "";
}

absl::StatusOr<int> Spawn(const ChildProgram& program) {
  const Attributes attributes;
  const FileActions actions(program);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.path.c_str(), &actions.raw, &attributes.raw, ArgumentsOf(program).data(),
                                 EnvironmentOf(program).data());
  if (error != 0) return absl::UnavailableError(absl::StrCat(program.path, " cannot be started: ", strerror(error)));
  return pid;
}

std::string DescribeEnd(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return absl::StrCat("ended with exit code ", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  return absl::StrCat("was killed by signal ", signal, " (", strsignal(signal), ")");
}

}  // namespace netsense
