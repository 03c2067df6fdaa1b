// Tries in a child what a library might not survive.
#pragma once

#include <functional>

#include "absl/status/status.h"

namespace netsense::inventory {

// Runs `work` in a child of this process, with a bound on its time (deadlines::kFileTrial) and memory, and hands its
// status over. InvalidArgument, with how it ended, when the child did not come through. What is to stay must be done
// again here: the child has only shown that this process survives it. Nothing is left behind, no core dump either.
absl::Status TryInChild(const std::function<absl::Status()>& work);

}  // namespace netsense::inventory
