// Which of UCX's devices a session uses.
#pragma once

#include <string>

namespace netsense::ucx {

// For UCX_NET_DEVICES: the network device that has the local `address`, and the ports of RDMA devices on it
// ("eth0,mlx5_0:1"). Empty when no device has it.
std::string NetDevicesOf(const std::string& address);

}  // namespace netsense::ucx
