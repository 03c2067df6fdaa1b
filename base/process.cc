#include "base/process.h"

#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>

namespace netsense {

SignalStop::SignalStop() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC));
  quit_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] {
    while (true) {
      pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {quit_.get(), POLLIN, 0}};
      if (poll(fds, 2, -1) < 0) continue;
      if (fds[1].revents != 0) return;
      signalfd_siginfo info{};
      if (read(signals_.get(), &info, sizeof(info)) != sizeof(info)) continue;
      if (signal_ != 0) _exit(128 + static_cast<int>(info.ssi_signo));
      signal_ = static_cast<int>(info.ssi_signo);
      source_.request_stop();
    }
  });
}

SignalStop::~SignalStop() {
  eventfd_write(quit_.get(), 1);
  thread_.join();
}

bool SleepUnlessStopped(std::stop_token stop, std::chrono::nanoseconds duration) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, stop, duration, [&stop] { return stop.stop_requested(); });
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void ShareHeaps() {
  constexpr int kHeaps = 2;
  mallopt(M_ARENA_MAX, kHeaps);
}

UniqueFd OpenPidFd(int pid) { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

}  // namespace netsense
