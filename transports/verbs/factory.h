// RDMA verbs: the whole public face of this backend.
//
// Reliable connections (RC), set up over the door's connection, whose end is the session's end. Round trips are SEND
// and RECV of a frame, inline where it fits. Bandwidth is, by mode:
//   "write"  RDMA WRITE WITH IMMEDIATE: each write also tells its receiver, which counts by its own clock.
//   "read"   RDMA READ: the receiver of the data fetches and counts it.
// Timestamps are the user's clock around posting and polling. libibverbs is loaded when it is first needed: a host
// without it runs everything else. How the device is chosen stands in device.h.
#pragma once

#include <memory>
#include <string>

#include "transports/transport.h"

namespace netsense {

// `sysfs` = where /sys is.
std::unique_ptr<Transport> MakeVerbsTransport(const std::string& sysfs = "/sys");

}  // namespace netsense
