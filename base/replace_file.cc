#include "base/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace netsense {

absl::StatusOr<UniqueFd> ReplaceFile(const std::string& path, const std::string& content, mode_t mode) {
  const auto failed = [&path](const char* what) {
    return absl::UnavailableError(fmt::format("cannot {} {}: {}", what, path, strerror(errno)));
  };
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return failed("write beside");
  const bool written = write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
                       fchmod(fd.get(), mode) == 0;
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return fd;
  auto status = failed("replace");
  unlink(temporary.c_str());
  return status;
}

}  // namespace netsense
