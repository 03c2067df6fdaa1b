#include "tests/provider/fabric/faults.h"

namespace netsense::provider {
namespace {

// The first whose turn it is, taken out. All that `counts` are one nearer.
template <typename Fault, typename Counts>
std::optional<Fault> Next(std::vector<Fault>* faults, Counts counts) {
  std::optional<Fault> due;
  for (auto fault = faults->begin(); fault != faults->end();) {
    const bool now = counts(*fault) && --fault->nth <= 0 && !due;
    if (now) due = *fault;
    fault = now ? faults->erase(fault) : fault + 1;
  }
  return due;
}

}  // namespace

int Faults::OnCall(pid_t process) {
  auto fault = Next(&calls_, [&](const CallFault& it) { return it.process == 0 || it.process == process; });
  return fault ? fault->error : 0;
}

std::optional<WorkFault> Faults::OnWork(ibv_wr_opcode opcode) {
  return Next(&work_, [&](const WorkFault& it) { return !it.opcode || *it.opcode == opcode; });
}

}  // namespace netsense::provider
