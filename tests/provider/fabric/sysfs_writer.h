// The part of /sys in which the kernel tells of RDMA devices, made up in a folder.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "tests/provider/fabric/device_spec.h"

namespace netsense::provider {

using RawGid = std::array<uint8_t, 16>;
// All zero for an unused entry. An IPv4 address is ::ffff:a.b.c.d.
RawGid RawGidOf(const Gid& gid);

// Entries come and go whole, as the kernel's do. One user at a time.
class SysfsWriter {
 public:
  explicit SysfsWriter(std::filesystem::path root);

  void Add(const DeviceSpec& device);
  void Remove(const std::string& device);
  // The port's files anew; `port` counts from 1.
  void WritePort(const DeviceSpec& device, size_t port) const;

 private:
  std::filesystem::path Aside();

  const std::filesystem::path root_;
  // What was removed is kept out of sight: a device that comes anew has another inode, as with the kernel.
  const std::filesystem::path aside_;
  int moved_ = 0;
};

}  // namespace netsense::provider
