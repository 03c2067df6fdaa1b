#include "engine/inventory/trial.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/unique_fd.h"

namespace netsense::inventory {
namespace {

constexpr rlim_t kMoreMemory = rlim_t{1} << 30;  // than this process has now
constexpr char kGood = 'g', kBad = 'b';          // the child's last words: one of these, then a message

void Bound(int resource, rlim_t limit) {
  const rlimit both{limit, limit};
  (void)setrlimit(resource, &both);
}

void BoundChild() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
  Bound(RLIMIT_CORE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // The sanitizers' shadow is terabytes of address space.
  rlim_t pages = 0;
  if (std::ifstream("/proc/self/statm") >> pages)
    Bound(RLIMIT_AS, pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kMoreMemory);
#endif
  for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGPIPE}) signal(number, SIG_DFL);
  // What the library says as it dies is for nobody.
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int number : {STDOUT_FILENO, STDERR_FILENO}) (void)dup2(nowhere, number);
}

// Until the writer closes or the deadline is over; true = it closed.
bool ReadAll(int fd, std::string* text) {
  const MonotonicTime end = MonotonicNow() + deadlines::kFileTrial();
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - MonotonicNow()).count();
    pollfd ready{fd, POLLIN, 0};
    const int polled = left <= 0 ? 0 : poll(&ready, 1, static_cast<int>(left));
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return false;
    std::array<char, 4096> part;
    const ssize_t size = read(fd, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return true;
    text->append(part.data(), static_cast<size_t>(size));
  }
}

std::string HowItEnded(int status, bool in_time) {
  if (!in_time) return absl::StrCat("it takes longer than ", deadlines::kFileTrial() / std::chrono::seconds(1), " s");
  if (WIFSIGNALED(status)) return absl::StrCat("a program that reads it ends with ", strsignal(WTERMSIG(status)));
  return absl::StrCat("a program that reads it ends with code ", WEXITSTATUS(status));
}

// Never returns, and lets no exception out: what is above on this stack is the parent's.
[[noreturn]] void RunInChild(const std::function<absl::Status()>& work, int into) noexcept {
  const absl::Status status = work();
  const std::string words = absl::StrCat(std::string(1, status.ok() ? kGood : kBad), status.message());
  const bool told = write(into, words.data(), words.size()) == static_cast<ssize_t>(words.size());
  _exit(told ? 0 : 1);
}

}  // namespace

absl::Status TryInChild(const std::function<absl::Status()>& work) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::InternalError(absl::StrCat("no pipe: ", strerror(errno)));
  UniqueFd from(ends[0]), into(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(absl::StrCat("no child process: ", strerror(errno)));
  if (pid == 0) {
    BoundChild();
    RunInChild(work, into.get());
  }
  into.Reset();
  std::string words;
  const bool in_time = ReadAll(from.get(), &words);
  if (!in_time) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const bool came_through = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (came_through && words.starts_with(kGood)) return absl::OkStatus();
  if (came_through && words.starts_with(kBad)) return absl::InvalidArgumentError(words.substr(1));
  return absl::InvalidArgumentError(HowItEnded(status, in_time));
}

}  // namespace netsense::inventory
