// The engine's side: the child process of a fragile backend, started at the first use and again, with a growing pause,
// whenever it dies.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/supervisor.h"
#include "base/unique_fd.h"
#include "netsense/isolation.pb.h"

namespace netsense::isolated {

// Thread-safe.
class Child {
 public:
  // `program` lies beside our own executable, or in ../libexec/netsense; `what` names the backend in messages.
  // `environment` as in IsolatedBackend.
  Child(std::string what, std::string program, std::vector<std::string> environment);
  ~Child();

  // Ok when the child runs and its backend can. Starts it when it never ran, and then waits for its first words (at
  // most deadlines::kChildAnswer); else answers at once. Unavailable: the reason, and when it is started again.
  absl::Status availability();

  // Hands a session over; our end of its socket. Codes as availability().
  absl::StatusOr<UniqueFd> Open(const v1::ChildSession& session, UniqueFd door);

  // Internal (our own fault, nothing is known of the peer) with how the child ended. For a session whose socket closed.
  absl::Status WhyGone();

 private:
  enum class State { kNever, kStarting, kRunning, kDown };

  // Signs of life to the child that runs, until `over`.
  void Beat(const std::stop_token& over);
  // Runs one child until its end; how it ended.
  std::string RunOne();
  void SetDown(const std::string& how, std::chrono::milliseconds pause);

  const std::string what_;
  const std::string program_;
  const std::vector<std::string> environment_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kNever;
  bool closing_ = false;
  UniqueFd control_;
  absl::Status status_;   // of the backend in the running child, or why none runs
  std::string last_end_;  // of the last child that ended
  // Both use all of the above, from the first use of the backend on.
  std::optional<Supervisor> supervisor_;
  std::jthread beats_;
};

}  // namespace netsense::isolated
