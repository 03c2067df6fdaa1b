// What a test says of a device: its ports and their addresses, and how much there is of it.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace netsense::provider {

struct Gid {
  std::string address;  // "10.9.0.1" or IPv6; empty = an unused entry
  std::string type = "RoCE v2";
};

struct PortSpec {
  std::vector<Gid> gids;
  ibv_port_state state = IBV_PORT_ACTIVE;
  bool infiniband = false;
  uint16_t lid = 0;
  ibv_mtu mtu = IBV_MTU_4096;
  std::string rate = "100 Gb/sec (4X EDR)";
  std::string netdev = "lo";  // the network device that has the addresses
};

inline constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// Beyond these there is ENOMEM, as of a device and its kernel.
struct Limits {
  uint64_t contexts = kNoLimit;
  uint64_t domains = kNoLimit;
  uint64_t regions = kNoLimit;
  uint64_t queues = kNoLimit;
  uint64_t pairs = kNoLimit;
  uint64_t locked_bytes = kNoLimit;  // of each process, in regions: `ulimit -l`
  uint32_t inline_bytes = 256;       // more is EINVAL
};

struct DeviceSpec {
  std::string name = "mlx5_0";
  std::vector<PortSpec> ports;
  bool iwarp = false;
  Limits limits = {};
};

// RoCE, one port, one address.
inline DeviceSpec RoceDevice(const std::string& name, const std::string& address) {
  DeviceSpec device{.name = name, .ports = {}};
  device.ports.push_back({.gids = {{.address = address}}});
  return device;
}

}  // namespace netsense::provider
