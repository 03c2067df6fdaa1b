// `netsense-bench topo`: what is near to what on a machine.
#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "engine/inventory/inventory.h"

namespace netsense {

struct TopoRequest {
  std::string from;  // file or folder; empty = this machine
  inventory::Options inventory;
  bool json = false;
  std::string svg;  // file to draw into; empty = none
};

// InvalidArgument for a request that fits no machine, Unavailable for a source that cannot be read or a picture that
// cannot be written.
absl::Status ShowTopology(const TopoRequest& request, std::ostream& out);

}  // namespace netsense
