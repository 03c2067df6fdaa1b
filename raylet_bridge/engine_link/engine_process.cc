#include "raylet_bridge/engine_link/engine_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/child_process.h"
#include "base/deadlines.h"
#include "base/last_words.h"
#include "base/logging.h"
#include "base/process.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

constexpr Supervisor::Pauses kPauses{
    .first = milliseconds(100), .longest = milliseconds(2000), .healthy_after = std::chrono::seconds(10)};
constexpr char kEngine[] = "netsense-engine";
// An engine that can't begin ends sooner: until then the reason of the one before it stands.
constexpr int kBegins = 2000;

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
  return waitpid(pid, &status, 0) == pid ? DescribeEnd(status) : "ended";
}

}  // namespace

std::string FindEngineProgram() {
  const std::string path = FindBesideUs(kEngine);
  return path.empty() ? kEngine : path;
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
    : options_(std::move(options)),
      adopt_pid_(options_.adopt_pid),
      supervisor_(
          kPauses, [this](const std::stop_token& stop) { return RunOne(stop); },
          [this](const std::string& how, milliseconds pause) {
            SetProblem(how);
            spdlog::warn("{}; starting it again in {} ms", how, pause.count());
          }) {}

EngineProcess::~EngineProcess() = default;

std::string EngineProcess::problem() const {
  std::lock_guard lock(mutex_);
  return problem_;
}

void EngineProcess::SetProblem(std::string problem) {
  std::lock_guard lock(mutex_);
  problem_ = std::move(problem);
}

std::string EngineProcess::RunOne(const std::stop_token& stop) {
  if (const int pid = std::exchange(adopt_pid_, 0); pid != 0) return Follow(pid, stop);
  ChildProgram program{.path = options_.program, .arguments = options_.arguments()};
  LastWords words(&program);
  auto pid = Spawn(program);
  words.CloseChildsEnd();
  if (!pid.ok())
    return fmt::format("the engine {}: install it beside netsense-bridge, or name it by --engine",
                       std::string(pid.status().message()));
  const std::string how = Follow(*pid, stop);
  const std::string why = Printable(words.Hear());
  return why.empty() ? how : fmt::format("{}: {}", how, why);
}

std::string EngineProcess::Follow(int pid, const std::stop_token& stop) {
  UniqueFd pidfd = OpenPidFd(pid);
  UniqueFd quit(eventfd(0, EFD_CLOEXEC));
  std::stop_callback wake(stop, [&quit] { eventfd_write(quit.get(), 1); });
  if (pidfd) {
    pollfd fds[2] = {{pidfd.get(), POLLIN, 0}, {quit.get(), POLLIN, 0}};
    int limit_ms = kBegins;
    int ready = 0;
    while ((ready = poll(fds, 2, limit_ms)) == 0 || (ready < 0 && errno == EINTR)) {
      if (ready == 0) SetProblem("");
      limit_ms = -1;
    }
    if (fds[0].revents == 0) EndProcess(pidfd);
  } else if (waitpid(pid, nullptr, WNOHANG) == 0) {
    kill(pid, SIGKILL);  // no descriptor left to follow our child by
  }
  return fmt::format("the engine (pid {}) {}", pid, Reap(pid));
}

}  // namespace netsense
