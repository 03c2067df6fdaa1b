// The kernel's counters of a port, read before and after a bandwidth probe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netsense/measurement.pb.h"

namespace netsense {

using PortCounters = std::map<std::string, uint64_t>;

// Those of `port` that are told by the table in the .cc, by name: of its network device and of its RDMA device's port
// (counters/ and hw_counters/). What the driver does not have is absent. `sysfs` = where /sys is.
PortCounters ReadPortCounters(const v1::Port& port, const std::string& sysfs = "/sys");

// Adds the "tcp_retransmits" of a connected TCP socket, so far (TCP_INFO); nothing for another descriptor.
void AddTcpCounters(int fd, PortCounters* counters);

// What moved, the gravest first. A counter that is smaller than before was reset: it counts from zero. Some of the RDMA
// counters are 8 or 16 bits wide and stay at their highest value: from then on they tell nothing.
std::vector<v1::CounterDelta> CounterDeltas(const PortCounters& before, const PortCounters& after);

}  // namespace netsense
