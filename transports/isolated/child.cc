#include "transports/isolated/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "transports/isolated/host.h"
#include "transports/isolated/packet.h"

extern char** environ;

namespace netsense::isolated {
namespace {

constexpr std::chrono::milliseconds kBeat{250};
constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{30'000};
constexpr std::chrono::seconds kHealthyAfter{60};

std::string FindProgram(const std::string& program) {
  std::error_code error;
  auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& place : {folder / program, folder / "../libexec/netsense" / program})
    if (access(place.c_str(), X_OK) == 0) return place.string();
  return "";
}

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status))
    return absl::StrCat("was killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  if (WEXITSTATUS(status) == 127) return "could not be started: a library that it needs is missing (see the log)";
  return absl::StrCat("ended with exit code ", WEXITSTATUS(status));
}

// The child gets `control` as kControlFd and nothing else of ours but the standard streams.
absl::StatusOr<int> Spawn(const std::string& path, int control, const std::vector<std::string>& defaults) {
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  for (const std::string& entry : defaults)
    if (getenv(entry.substr(0, entry.find('=')).c_str()) == nullptr)
      environment.push_back(const_cast<char*>(entry.c_str()));
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, control, kControlFd);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);  // our stdout may be somebody's JSON
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::array<char*, 2> arguments{const_cast<char*>(path.c_str()), nullptr};
  int pid = 0;
  int error = posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::UnavailableError(absl::StrCat(path, " could not be started: ", strerror(error)));
  return pid;
}

}  // namespace

Child::Child(std::string what, std::string program, std::vector<std::string> environment)
    : what_(std::move(what)), program_(std::move(program)), environment_(std::move(environment)) {}

Child::~Child() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    if (control_) shutdown(control_.get(), SHUT_RDWR);  // the child leaves by itself
    changed_.notify_all();
  }
  if (supervisor_.joinable()) supervisor_.join();
}

absl::Status Child::availability() {
  std::unique_lock lock(mutex_);
  if (state_ == State::kNever) {
    state_ = State::kStarting;
    supervisor_ = std::thread([this] { Supervise(); });
    beats_ = std::jthread([this](const std::stop_token& over) { Beat(over); });
  }
  changed_.wait_for(lock, deadlines::kChildAnswer(), [this] { return state_ != State::kStarting; });
  if (state_ == State::kStarting)
    return absl::UnavailableError(absl::StrCat("the ", what_, " process does not answer yet"));
  return status_;
}

absl::StatusOr<UniqueFd> Child::Open(const v1::ChildSession& session, UniqueFd door) {
  if (auto status = availability(); !status.ok()) return status;
  auto pair = MakeSocketPair();
  if (!pair.ok()) return pair.status();
  std::lock_guard lock(mutex_);
  if (state_ != State::kRunning) return status_;
  auto status = SendPacket(control_.get(), session, std::array{door.get(), pair->second.get()});
  if (!status.ok()) return status;
  return std::move(pair->first);
}

absl::Status Child::WhyGone() {
  std::unique_lock lock(mutex_);
  // The socket may close a moment before the process is reaped.
  changed_.wait_for(lock, deadlines::kChildReaped(), [this] { return state_ != State::kRunning || closing_; });
  if (state_ == State::kRunning && !closing_)
    return absl::InternalError(absl::StrCat("the ", what_, " process closed the session"));
  return absl::InternalError(absl::StrCat("the ", what_, " process ", last_end_));
}

void Child::Beat(const std::stop_token& over) {
  while (!SleepUnlessStopped(over, kBeat)) {
    std::lock_guard lock(mutex_);
    if (state_ != State::kRunning || !control_) continue;
    pollfd room{control_.get(), POLLOUT, 0};  // a child that does not read must not stop us
    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) (void)SendPacket(control_.get(), v1::ChildSession());
  }
}

void Child::Supervise() {
  auto pause = kFirstPause;
  while (true) {
    MonotonicTime start = MonotonicNow();
    std::string reason = RunOne();
    std::unique_lock lock(mutex_);
    if (closing_) return;
    if (MonotonicNow() - start >= kHealthyAfter) pause = kFirstPause;
    state_ = State::kDown;
    last_end_ = reason;
    status_ = absl::UnavailableError(
        absl::StrCat("the ", what_, " process ", reason, "; started again after ", pause.count(), " ms"));
    spdlog::warn("{}", std::string(status_.message()));
    changed_.notify_all();
    changed_.wait_for(lock, pause, [this] { return closing_; });
    if (closing_) return;
    pause = std::min(2 * pause, kLongestPause);
  }
}

std::string Child::RunOne() {
  std::string path = FindProgram(program_);
  if (path.empty()) return absl::StrCat("is not installed: no ", program_, " beside this program");
  auto pair = MakeSocketPair();
  if (!pair.ok()) return std::string(pair.status().message());
  auto pid = Spawn(path, pair->second.get(), environment_);
  if (!pid.ok()) return std::string(pid.status().message());
  pair->second.Reset();
  const int control = pair->first.get();
  {
    std::lock_guard lock(mutex_);
    control_ = std::move(pair->first);
    if (closing_) shutdown(control, SHUT_RDWR);
  }
  v1::ChildHello hello;
  bool said_hello = false;
  pollfd ready{control, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(deadlines::kChildStart().count())) == 1 && ReceivePacket(control, &hello).ok()) {
    std::lock_guard lock(mutex_);
    said_hello = true;
    state_ = State::kRunning;
    status_ = absl::Status(static_cast<absl::StatusCode>(hello.availability_code()), hello.availability_reason());
    changed_.notify_all();
    spdlog::debug("the {} process runs, pid {}", what_, *pid);
  } else {
    kill(*pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  std::lock_guard lock(mutex_);
  control_.Reset();
  if (!said_hello && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return absl::StrCat("said nothing within ", deadlines::kChildStart() / std::chrono::seconds(1), " s of its start");
  return DescribeEnd(status);
}

}  // namespace netsense::isolated
