// Faults that a test orders in advance: the n-th call or the n-th work request from then on.
#pragma once

#include <infiniband/verbs.h>
#include <sys/types.h>

#include <optional>
#include <vector>

namespace netsense::provider {

// A call that opens, makes, asks or changes something fails. What destroys or closes is never counted and never fails.
struct CallFault {
  int nth = 1;
  int error = ENOMEM;
  pid_t process = 0;  // whose calls count; 0 = everybody's
};

// What goes wrong with a work request of a send queue.
struct WorkFault {
  enum class Kind {
    kStatus,        // it is not carried out, and completes with `status`
    kDamage,        // a byte of its payload, at `offset`, arrives as another
    kLoseSent,      // its own completion never comes
    kLoseReceived,  // the receiver's completion never comes
  };
  Kind kind = Kind::kStatus;
  int nth = 1;
  std::optional<ibv_wr_opcode> opcode = {};  // only these count
  ibv_wc_status status = IBV_WC_RETRY_EXC_ERR;
  uint32_t offset = 0;
};

class Faults {
 public:
  void Add(const CallFault& fault) { calls_.push_back(fault); }
  void Add(const WorkFault& fault) { work_.push_back(fault); }
  void Clear() {
    calls_.clear();
    work_.clear();
  }
  // Of those that were ordered, how many have not happened.
  size_t pending() const { return calls_.size() + work_.size(); }

  // Counts one; 0 = nothing goes wrong with it.
  int OnCall(pid_t process);
  std::optional<WorkFault> OnWork(ibv_wr_opcode opcode);

 private:
  std::vector<CallFault> calls_;
  std::vector<WorkFault> work_;
};

}  // namespace netsense::provider
