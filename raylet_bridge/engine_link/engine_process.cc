#include "raylet_bridge/engine_link/engine_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/service_manager.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kMaxBackoff{2000};
constexpr std::chrono::seconds kHealthyAfter{10};
constexpr char kEngine[] = "netsense-engine";

void Signal(const UniqueFd& pidfd, int signal) {
  (void)syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

bool WaitForEnd(const UniqueFd& pidfd, int timeout_ms) {
  pollfd fd{pidfd.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&fd, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Reaps the child, and says how it ended. An adopted engine is nobody's child of ours: how it ended is not known.
std::string Reap(int pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return "ended";
  if (WIFSIGNALED(status))
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

// Ours, but for what a service manager says to this process alone.
std::vector<char*> EnvironmentOfTheEngine() {
  std::vector<char*> variables;
  for (char** each = environ; *each != nullptr; ++each) {
    std::string variable = *each;
    if (!IsServiceManagerVariable(variable.substr(0, variable.find('=')))) variables.push_back(*each);
  }
  variables.push_back(nullptr);
  return variables;
}

}  // namespace

std::string FindEngineProgram() {
  std::error_code error;
  auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  auto beside = own.parent_path() / kEngine;
  return !error && access(beside.c_str(), X_OK) == 0 ? beside.string() : kEngine;
}

void EndProcess(const UniqueFd& pidfd) {
  if (!pidfd) return;
  Signal(pidfd, SIGTERM);
  const auto limit_ms = static_cast<int>(deadlines::kEngineEnd().count());
  if (WaitForEnd(pidfd, limit_ms)) return;
  spdlog::warn("the engine did not end within {} ms of SIGTERM: killing it", limit_ms);
  Signal(pidfd, SIGKILL);
  WaitForEnd(pidfd, -1);
}

EngineProcess::EngineProcess(Options options)
    : options_(std::move(options)), thread_([this](std::stop_token stop) { Supervise(std::move(stop)); }) {}

EngineProcess::~EngineProcess() = default;

std::string EngineProcess::problem() const {
  std::lock_guard lock(mutex_);
  return problem_;
}

void EngineProcess::SetProblem(std::string problem) {
  std::lock_guard lock(mutex_);
  problem_ = std::move(problem);
}

void EngineProcess::Supervise(std::stop_token stop) {
  milliseconds backoff = kFirstBackoff;
  int adopt = options_.adopt_pid;
  while (!stop.stop_requested()) {
    MonotonicTime started = MonotonicNow();
    int pid = std::exchange(adopt, 0);
    if (pid == 0) pid = Start();
    if (pid > 0) {
      SetProblem("");
      Follow(pid, stop);
    }
    if (stop.stop_requested()) return;
    if (MonotonicNow() - started >= kHealthyAfter) backoff = kFirstBackoff;
    spdlog::warn("{}; starting it again in {} ms", problem(), backoff.count());
    if (SleepUnlessStopped(stop, backoff)) return;
    backoff = std::min(backoff * 2, kMaxBackoff);
  }
}

int EngineProcess::Start() {
  std::vector<std::string> words = options_.arguments();
  words.insert(words.begin(), options_.program);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  sigset_t none, pipe;
  sigemptyset(&none);
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  pid_t pid = -1;
  int error =
      posix_spawnp(&pid, options_.program.c_str(), &actions, &attributes, argv.data(), EnvironmentOfTheEngine().data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return pid;
  SetProblem(fmt::format("cannot start the engine {} ({}): install it beside netsense-bridge, or name it by --engine",
                         options_.program, strerror(error)));
  return -1;
}

void EngineProcess::Follow(int pid, std::stop_token stop) {
  UniqueFd pidfd = OpenPidFd(pid);
  UniqueFd quit(eventfd(0, EFD_CLOEXEC));
  std::stop_callback wake(stop, [&quit] { eventfd_write(quit.get(), 1); });
  if (pidfd) {
    pollfd fds[2] = {{pidfd.get(), POLLIN, 0}, {quit.get(), POLLIN, 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents == 0) EndProcess(pidfd);
  } else if (waitpid(pid, nullptr, WNOHANG) == 0) {
    kill(pid, SIGKILL);  // no descriptor left to follow our child by
  }
  SetProblem(fmt::format("the engine (pid {}) {}", pid, Reap(pid)));
}

}  // namespace netsense
