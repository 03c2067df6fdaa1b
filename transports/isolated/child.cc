#include "transports/isolated/child.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "base/child_process.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "transports/isolated/packet.h"

namespace netsense::isolated {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBeat{250};
constexpr milliseconds kRoomSoon{250};  // many sessions at once fill the socket of a child that reads, too
constexpr milliseconds kLookForRoom{5};
constexpr Supervisor::Pauses kPauses{
    .first = milliseconds(500), .longest = milliseconds(30'000), .healthy_after = std::chrono::seconds(60)};
constexpr int kCouldNotLoad = 127;  // the exit code where the dynamic linker gives up

// Whether all that we sent has been read.
bool HasRead(int control) {
  int unread = 0;
  return ioctl(control, SIOCOUTQ, &unread) != 0 || unread == 0;
}

// Of a child that has closed its socket or was killed. One that does not end by then (it was stopped, say) is killed.
int Reap(int pid) {
  const UniqueFd process = OpenPidFd(pid);
  pollfd ended{process.get(), POLLIN, 0};
  if (!process || poll(&ended, 1, static_cast<int>(deadlines::kChildReaped().count())) == 0) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Child::Child(Options options) : options_(std::move(options)) {}

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

void Child::Wake() {
  if (state_ != State::kResting || closing_) return;
  state_ = State::kStarting;
  started_ = MonotonicNow();
  changed_.notify_all();
  if (!supervisor_)
    supervisor_.emplace(
        kPauses, [this](const std::stop_token& stop) { return RunOne(stop); },
        [this](const std::string& how, milliseconds pause) {
          SetDown(absl::StrCat(how, "; started again after ", pause.count(), " ms"));
          spdlog::warn("the {} process {}; started again after {} ms", options_.what, how, pause.count());
        });
}

absl::Status Child::Status() const {
  switch (state_) {
    case State::kRunning:
      if (reads_) return backend_;
      return absl::UnavailableError(
          absl::StrCat("the ", options_.what, " process does not read what it is told (was it stopped?); after ",
                       deadlines::kChildHangs() / std::chrono::seconds(1), " s it is started anew"));
    case State::kDown:
      return down_;
    default:
      return absl::UnavailableError(absl::StrCat("the ", options_.what, " process does not answer yet"));
  }
}

absl::Status Child::availability() {
  std::lock_guard lock(mutex_);
  Wake();
  return Status();
}

absl::Status Child::Await(MonotonicTime deadline, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  Wake();
  changed_.wait_until(lock, stop, std::min(deadline, started_ + deadlines::kChildAnswer()),
                      [this] { return state_ != State::kStarting || closing_; });
  return Status();
}

absl::StatusOr<std::unique_ptr<CarriedSession>> Child::Open(const v1::ChildSession& session, UniqueFd door,
                                                            MonotonicTime deadline, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto pair, MakeSocketPair());
  const MonotonicTime patience = MonotonicNow() + kRoomSoon;
  do {
    RETURN_IF_ERROR(Await(deadline, stop));
    std::lock_guard lock(mutex_);
    if (state_ != State::kRunning) continue;  // it has just ended
    auto sent = TrySendPacket(control_.get(), session, std::array{door.get(), pair.second.get()});
    if (sent.ok()) {
      ++sessions_;
      return std::make_unique<CarriedSession>(this, std::move(pair.first), run_);
    }
    if (!absl::IsResourceExhausted(sent)) return sent;
    if (MonotonicNow() < patience) continue;
    reads_ = false;
    return Status();
  } while (!SleepUnlessStopped(stop, kLookForRoom));
  return absl::CancelledError("stopped");
}

void Child::SessionEnded() {
  std::lock_guard lock(mutex_);
  if (--sessions_ == 0) unused_since_ = MonotonicNow();
}

bool Child::UnusedForLong() const {
  return options_.ends_unused_after.count() > 0 && sessions_ == 0 &&
         MonotonicNow() - unused_since_ >= options_.ends_unused_after;
}

absl::Status Child::WhyGone(uint64_t run) {
  std::unique_lock lock(mutex_);
  // The socket may close a moment before the process is reaped.
  changed_.wait_for(lock, 2 * deadlines::kChildReaped(), [&] { return ended_run_ >= run || closing_; });
  if (ended_run_ < run) return absl::InternalError(absl::StrCat("the ", options_.what, " process closed the session"));
  return absl::InternalError(absl::StrCat("the ", options_.what, " process ", last_end_));
}

void Child::SetDown(const std::string& how) {
  std::lock_guard lock(mutex_);
  state_ = State::kDown;
  down_ = absl::UnavailableError(absl::StrCat("the ", options_.what, " process ", how));
  changed_.notify_all();
}

// False: we are to end.
bool Child::WaitUntilWanted(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (state_ == State::kDown && options_.ends_unused_after.count() > 0) state_ = State::kResting;
  return changed_.wait(lock, stop, [this] { return state_ != State::kResting; }) && !stop.stop_requested();
}

std::string Child::RunOne(const std::stop_token& stop) {
  while (WaitUntilWanted(stop)) {
    const std::string path = FindBesideUs(options_.program);
    if (path.empty()) return absl::StrCat("is not installed: no ", options_.program, " beside this program");
    auto pair = MakeSocketPair();
    if (!pair.ok()) return std::string(pair.status().message());
    auto pid = Spawn({.path = path,
                      .environment = options_.environment,
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
    bool unused = false;
    const std::string how = Follow(*pid, control, &unused);
    if (!unused) return how;
    spdlog::debug("the {} process, pid {}, had no session for long and was ended", options_.what, *pid);
  }
  return "";
}

std::string Child::Follow(int pid, int control, bool* unused) {
  v1::ChildHello hello;
  Ending ending;
  pollfd ready{control, POLLIN, 0};
  const bool said_hello =
      poll(&ready, 1, static_cast<int>(deadlines::kChildStart().count())) == 1 && ReceivePacket(control, &hello).ok();
  if (said_hello) {
    {
      std::lock_guard lock(mutex_);
      ++run_;
      state_ = State::kRunning;
      reads_ = true;
      unused_since_ = MonotonicNow();
      backend_ = absl::Status(static_cast<absl::StatusCode>(hello.availability_code()), hello.availability_reason());
      changed_.notify_all();
    }
    spdlog::debug("the {} process runs, pid {}", options_.what, pid);
    ending = Watch(pid, control);
    if (!ending.unused) SetDown("has just ended");  // no more sessions for it, however long its end takes
  } else {
    kill(pid, SIGKILL);
  }
  const int status = Reap(pid);
  std::string how = DescribeEnd(status);
  if (!ending.peer.empty() && options_.on_crash) options_.on_crash(ending.peer, how);
  if (!ending.peer.empty()) absl::StrAppend(&how, " in a session with ", ending.peer);
  if (ending.hung)
    how = absl::StrCat("did not read what it was told for ", deadlines::kChildHangs() / std::chrono::seconds(1),
                       " s (was it stopped?) and was killed");
  if (!said_hello && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    how = absl::StrCat("said nothing within ", deadlines::kChildStart() / std::chrono::seconds(1), " s of its start");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCouldNotLoad)
    how = "could not be started: a library that it needs is missing (see the log)";
  *unused = ending.unused;
  std::lock_guard lock(mutex_);
  control_.Reset();
  ended_run_ = run_;
  last_end_ = how;
  changed_.notify_all();
  return how;
}

Child::Ending Child::Watch(int pid, int control) {
  Ending ending;
  milliseconds unread{};  // in beats: while we were stopped ourselves no child has to read
  while (true) {
    pollfd said{control, POLLIN, 0};
    if (poll(&said, 1, static_cast<int>(kBeat.count())) > 0) {
      v1::ChildLastWords words;
      if (absl::IsUnavailable(ReceivePacket(control, &words))) return ending;
      ending.peer = Printable(words.peer_address());
      continue;
    }
    unread = HasRead(control) ? milliseconds{} : unread + kBeat;
    if (unread.count() == 0) (void)TrySendPacket(control, v1::ChildSession());
    std::lock_guard lock(mutex_);
    if (unread.count() == 0) reads_ = true;
    if (unread >= deadlines::kChildReads()) reads_ = false;
    if (unread >= deadlines::kChildHangs()) {
      ending.hung = true;
      kill(pid, SIGKILL);
    }
    if (!ending.unused && UnusedForLong()) {
      ending.unused = true;
      state_ = State::kResting;
      shutdown(control, SHUT_RDWR);
    }
  }
}

}  // namespace netsense::isolated
