// The engine's side: the child process of a fragile backend, started when it is needed and again, with a growing pause,
// whenever it dies.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/supervisor.h"
#include "base/unique_fd.h"
#include "netsense/isolation.pb.h"

namespace netsense::isolated {

class CarriedSession;

// Thread-safe. Its lock is held for moments, and never over a call that waits for the child.
class Child {
 public:
  struct Options {
    std::string what;                           // names the backend in messages
    std::string program;                        // beside our own executable, or in ../libexec/netsense
    std::vector<std::string> environment = {};  // as in IsolatedBackend
    // Without a session for so long it ends, until it is needed again; zero: it stays.
    std::chrono::milliseconds ends_unused_after{};
    // It crashed in a session with that peer; how, in words. On a thread of this class.
    std::function<void(const std::string& peer, const std::string& how)> on_crash;
  };

  explicit Child(Options options);
  // Ends it, and its sessions with it.
  ~Child();

  // Ok when the child runs, reads and its backend can, as far as is known: nobody is waited for. Starts it when it does
  // not run. Unavailable: the reason, and when it is started again.
  absl::Status availability();
  // The same, once a child that is starting has said its first words: until `deadline`, and for at most
  // deadlines::kChildAnswer of its start.
  absl::Status Await(MonotonicTime deadline, const std::stop_token& stop);

  // Hands a session over. Codes as Await(), and Unavailable where the child does not read. Cancelled.
  absl::StatusOr<std::unique_ptr<CarriedSession>> Open(const v1::ChildSession& session, UniqueFd door,
                                                       MonotonicTime deadline, const std::stop_token& stop);

 private:
  friend class CarriedSession;
  enum class State { kResting, kStarting, kRunning, kDown };
  // Why the engine ended it, and whom it named with its last words.
  struct Ending {
    bool hung = false;
    bool unused = false;
    std::string peer;
  };

  // Under the lock.
  void Wake();
  absl::Status Status() const;
  bool UnusedForLong() const;

  bool WaitUntilWanted(const std::stop_token& stop);
  // Runs one child until its end; how it ended.
  std::string RunOne(const std::stop_token& stop);
  std::string Follow(int pid, int control, bool* unused);
  // Signs of life to the child that runs, until it is gone.
  Ending Watch(int pid, int control);
  void SetDown(const std::string& how);
  // Of the run with that number.
  absl::Status WhyGone(uint64_t run);
  void SessionEnded();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  State state_ = State::kResting;
  bool closing_ = false;
  MonotonicTime started_{};
  UniqueFd control_;
  absl::Status backend_;  // in the running child
  bool reads_ = true;     // the running child
  absl::Status down_;     // why none runs
  uint64_t run_ = 0, ended_run_ = 0;
  std::string last_end_;  // of ended_run_
  size_t sessions_ = 0;
  MonotonicTime unused_since_{};
  std::optional<Supervisor> supervisor_;  // uses all of the above, from the first use of the backend on
};

// A session that a child carries. Ends with this. Does not outlive the child.
class CarriedSession {
 public:
  CarriedSession(Child* child, UniqueFd socket, uint64_t run) : child_(child), socket_(std::move(socket)), run_(run) {}
  ~CarriedSession() { child_->SessionEnded(); }
  CarriedSession(const CarriedSession&) = delete;
  CarriedSession& operator=(const CarriedSession&) = delete;

  // Our end.
  int socket() const { return socket_.get(); }
  // Internal (our own fault, nothing is known of the peer) with how the child ended, after the socket has closed.
  absl::Status WhyGone() const { return child_->WhyGone(run_); }

 private:
  Child* const child_;
  const UniqueFd socket_;
  const uint64_t run_;
};

}  // namespace netsense::isolated
