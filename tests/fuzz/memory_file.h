// A file without a place in any folder, for readers that want a path.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace netsense::fuzz {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content);
  std::string path() const;

 private:
  UniqueFd fd_;
};

}  // namespace netsense::fuzz
