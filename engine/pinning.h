// Puts the thread that carries a session, and the memory that it takes from then on, next to the port that it drives.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/inventory/node.h"
#include "netsense/measurement.pb.h"

namespace netsense {

struct PinningOptions {
  bool enabled = true;
  std::string cpus = {};  // "0-3,8": these, whatever the port; empty = those of the port's NUMA node
};

// Where a session over `port` belongs on a machine with these NUMA nodes, in a process that may use the processors
// `allowed` only: those of the port's node, and its memory. Not bound, with the reason, when nobody knows where the
// port sits, or the process may use none of that node's processors. `by_hand` (not empty) overrides the processors, and
// the memory is then that of the one node that they are all of.
v1::Binding PlanBinding(const std::vector<inventory::NumaNode>& nodes, const std::vector<int>& allowed,
                        const v1::Port& port, const std::vector<int>& by_hand);

// Thread-safe.
class Pinning {
 public:
  // InvalidArgument: options.cpus cannot be read, or names processors that this process may not use.
  static absl::StatusOr<std::unique_ptr<Pinning>> Create(const PinningOptions& options);
  ~Pinning();

  v1::Binding Plan(const v1::Port& port) const;
  // Binds the calling thread, by hwloc. Threads carry one session after another: an empty binding undoes the last one.
  void Apply(const v1::Binding& binding) const;

 private:
  struct Machine;
  Pinning(std::unique_ptr<Machine> machine, bool enabled, std::vector<int> by_hand);

  const std::unique_ptr<Machine> machine_;
  const bool enabled_;
  const std::vector<int> by_hand_;
};

}  // namespace netsense
