// What the life of a process needs: a way to be told to stop, and a look at another process.
#pragma once

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

#include "base/unique_fd.h"

namespace netsense {

// Turns SIGINT and SIGTERM into a stop token. Make one early in main, before any thread starts: it blocks the two
// signals for the whole process and receives them on a thread of its own. SIGPIPE is ignored from then on. A second
// signal ends the process at once with 128 + its number.
class SignalStop {
 public:
  SignalStop();
  ~SignalStop();
  SignalStop(const SignalStop&) = delete;
  SignalStop& operator=(const SignalStop&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  void RequestStop() { source_.request_stop(); }
  // The signal that came, 0 when none did.
  int signal() const { return signal_; }

 private:
  std::stop_source source_;
  std::atomic<int> signal_ = 0;
  UniqueFd signals_;
  UniqueFd quit_;
  std::thread thread_;
};

// Blocks until `stop` or until `duration` has passed. True when stopped.
bool SleepUnlessStopped(std::stop_token stop, std::chrono::nanoseconds duration);

// As many descriptors as this process may have: a service with a connection or more per node needs them, and the limit
// that it is given (1,024 by default) is for programs that use select().
void RaiseDescriptorLimit();

// Few heaps for this process, whose memory else follows how many threads it ever had at once: glibc gives a thread that
// would wait for another's heap one of its own, up to 8 a processor, and each keeps what it held at its fullest
// (mallopt(3), M_ARENA_MAX). For programs that live long; to be called before the first thread.
void ShareHeaps();

// A descriptor that becomes readable when process `pid` ends (pidfd_open); empty when there is no such process.
UniqueFd OpenPidFd(int pid);

}  // namespace netsense
