// The inventory of a machine: this one, or one from a file.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "engine/inventory/node.h"
#include "engine/inventory/nvml.h"

namespace netsense::inventory {

struct Options {
  std::vector<std::string> rails;  // set by hand; empty = by rank (rails.h)
  // A topology file of NCCL's format that says where this machine's devices really are; empty = none.
  std::string topology_override;
};

// Reads this machine as often as it is asked. May be used from several threads.
class ThisMachine {
 public:
  explicit ThisMachine(Options options) : options_(std::move(options)) {}

  // The machine as it is now. What cannot be read is absent, and the notes say so: it fails only over the options, with
  // the codes of ReadFrom().
  // Takes tens of milliseconds; the GPUs' driver, which may take a second, is asked every ten minutes only.
  // The topology file is read once.
  absl::StatusOr<Node> Read();

 private:
  absl::Status ReadOverride();

  const Options options_;
  std::mutex mutex_;
  std::optional<Node> places_;  // of the topology file, once it is read: then it stays as it is
  std::optional<NvmlFacts> nvml_;
  MonotonicTime nvml_read_at_{};
};

// hwloc XML, NCCL XML, or a folder with a copy of /sys: which of them, its content tells. FailedPrecondition when
// it (or the override) cannot be read, with why and what can; InvalidArgument when the rails name no port of it.
absl::StatusOr<Node> ReadFrom(const std::string& path, const Options& options);

}  // namespace netsense::inventory
