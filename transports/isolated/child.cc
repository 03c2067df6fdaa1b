#include "transports/isolated/child.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/child_process.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "transports/isolated/host.h"
#include "transports/isolated/packet.h"

namespace netsense::isolated {
namespace {

constexpr std::chrono::milliseconds kBeat{250};
constexpr Supervisor::Pauses kPauses{.first = std::chrono::milliseconds(500),
                                     .longest = std::chrono::milliseconds(30'000),
                                     .healthy_after = std::chrono::seconds(60)};
constexpr int kCouldNotLoad = 127;  // the exit code where the dynamic linker gives up

}  // namespace

Child::Child(std::string what, std::string program, std::vector<std::string> environment)
    : what_(std::move(what)), program_(std::move(program)), environment_(std::move(environment)) {}

Child::~Child() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    if (supervisor_) supervisor_->RequestStop();
    if (control_) shutdown(control_.get(), SHUT_RDWR);  // the child leaves by itself
    changed_.notify_all();
  }
  supervisor_.reset();
}

absl::Status Child::availability() {
  std::unique_lock lock(mutex_);
  if (state_ == State::kNever) {
    state_ = State::kStarting;
    supervisor_.emplace(
        kPauses, [this](const std::stop_token&) { return RunOne(); },
        [this](const std::string& how, std::chrono::milliseconds pause) { SetDown(how, pause); });
    beats_ = std::jthread([this](const std::stop_token& over) { Beat(over); });
  }
  changed_.wait_for(lock, deadlines::kChildAnswer(), [this] { return state_ != State::kStarting; });
  if (state_ == State::kStarting)
    return absl::UnavailableError(absl::StrCat("the ", what_, " process does not answer yet"));
  return status_;
}

absl::StatusOr<UniqueFd> Child::Open(const v1::ChildSession& session, UniqueFd door) {
  RETURN_IF_ERROR(availability());
  ASSIGN_OR_RETURN(auto pair, MakeSocketPair());
  std::lock_guard lock(mutex_);
  if (state_ != State::kRunning) return status_;
  RETURN_IF_ERROR(SendPacket(control_.get(), session, std::array{door.get(), pair.second.get()}));
  return std::move(pair.first);
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

void Child::SetDown(const std::string& how, std::chrono::milliseconds pause) {
  std::lock_guard lock(mutex_);
  state_ = State::kDown;
  last_end_ = how;
  status_ = absl::UnavailableError(
      absl::StrCat("the ", what_, " process ", how, "; started again after ", pause.count(), " ms"));
  spdlog::warn("{}", std::string(status_.message()));
  changed_.notify_all();
}

std::string Child::RunOne() {
  const std::string path = FindBesideUs(program_);
  if (path.empty()) return absl::StrCat("is not installed: no ", program_, " beside this program");
  auto pair = MakeSocketPair();
  if (!pair.ok()) return std::string(pair.status().message());
  auto pid = Spawn({.path = path,
                    .environment = environment_,
                    .descriptor = pair->second.get(),
                    .stdout_to_stderr = true});  // our stdout may be somebody's JSON
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
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCouldNotLoad)
    return "could not be started: a library that it needs is missing (see the log)";
  return DescribeEnd(status);
}

}  // namespace netsense::isolated
