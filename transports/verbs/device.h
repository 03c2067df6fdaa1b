// Which device, port and GID a session uses. Read from /sys/class/infiniband each time, so that a device that left and
// came back is found again; needs no library. `sysfs` = where /sys is.
//
// Without a wish: the port one of whose GIDs is the local address of the door's connection, and that GID (RoCE v2, so
// the address family is the door's); on InfiniBand the port of the network device that has the address, and GID 0. A
// wished device is taken as it is, and its GID is the one of the door's address, else its first RoCE v2 GID of that
// family.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace netsense::verbs {

struct PortChoice {
  std::string device;  // "mlx5_0"
  uint8_t port = 1;
  uint8_t gid_index = 0;
  std::array<uint8_t, 16> gid{};
  bool infiniband = false;  // else RoCE or iWARP
  uint16_t lid = 0;

  std::string Name() const;  // "mlx5_0:1 gid 3"
};

// NotFound-like answers are Unavailable with what there is instead. `wish` is "", "mlx5_0" or "mlx5_0:1".
absl::StatusOr<PortChoice> ChoosePort(const std::string& local_address, const std::string& wish,
                                      std::optional<uint32_t> gid_index, const std::string& sysfs = "/sys");

// Ok when some port is active; else Unavailable with the reason.
absl::Status AnyActivePort(const std::string& sysfs = "/sys");

}  // namespace netsense::verbs
