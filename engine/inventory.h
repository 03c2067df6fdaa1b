// The network ports of this node, read from the kernel each time it is asked.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "netsense/measurement.pb.h"

namespace netsense {

// Every network device that is up and has an address. Speed 0 = the driver does not say.
std::vector<v1::Port> ListPorts();

// The port that has `address`; an empty port (no name) when none has. Any address of 127.0.0.0/8 belongs to the
// loopback port.
v1::Port PortOfAddress(const std::string& address);

// The local address from which the kernel would reach `destination` (numeric). Unavailable when there is no route.
absl::StatusOr<std::string> SourceAddressTowards(const std::string& destination);

}  // namespace netsense
