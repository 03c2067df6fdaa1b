// Reads a tree of sysfs: the machine's own, or a copy that somebody else made and that may hold anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace netsense::inventory {

// Paths are relative to the tree ("class/net/eth0/mtu"). Symbolic links are followed within the tree only, files are
// read only when they are plain files, and sizes are bounded, so that a copy can neither lead outside nor hang its
// reader. Stateless but for its root: may be used from many threads.
class SysfsTree {
 public:
  // NotFound when `root` is no folder.
  static absl::StatusOr<SysfsTree> Open(const std::string& root);

  // The text of a file without the white space around it; nothing where there is none or it cannot be read (a driver
  // may answer EINVAL).
  std::optional<std::string> Read(const std::string& path) const;
  std::string ReadOr(const std::string& path, const std::string& otherwise = "") const;
  std::optional<int64_t> ReadInteger(const std::string& path) const;  // decimal, or hexadecimal behind "0x"

  // Names in a folder, sorted, at most kMaxEntries; none where there is no such folder.
  std::vector<std::string> List(const std::string& path) const;
  bool IsFolder(const std::string& path) const;

  // The path without symbolic links, relative to the tree; nothing where it does not exist or leads outside.
  std::optional<std::string> Resolve(const std::string& path) const;

  static constexpr size_t kMaxEntries = 8192;

 private:
  explicit SysfsTree(std::string root) : root_(std::move(root)) {}

  std::string root_;  // without symbolic links
};

}  // namespace netsense::inventory
