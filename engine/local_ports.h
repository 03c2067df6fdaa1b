// Which port of this machine an address belongs to: asked once for every session, so it must be cheap.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "netsense/measurement.pb.h"

namespace netsense {

// The port that has `address` now, with its names, fabric, speed and MTU as the inventory has them (not its rail, role
// or neighbours); an empty port (no name) when none has. Any address of 127.0.0.0/8 belongs to the loopback port. Reads
// the addresses and one network device each time; which RDMA device belongs to it is remembered, until devices come or
// go, for half a minute at most.
v1::Port PortOfAddress(const std::string& address);

// The same by Port.name, without addresses.
v1::Port PortNamed(const std::string& name);

// The local address from which the kernel would reach `destination` (numeric). Unavailable when there is no route.
absl::StatusOr<std::string> SourceAddressTowards(const std::string& destination);

}  // namespace netsense
