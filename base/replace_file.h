// Puts a whole file in the place of another at once: a reader sees the one or the other.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace netsense {

// The new file, open. Unavailable: it can't be written; what was there is as it was.
absl::StatusOr<UniqueFd> ReplaceFile(const std::string& path, const std::string& content, mode_t mode);

}  // namespace netsense
