#include "base/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/status_macros.h"

namespace netsense {
namespace {

constexpr mode_t kOnlyOurs = 0700;

bool IsTrusted(const struct stat& info) { return info.st_uid == geteuid() || info.st_uid == 0; }

// Where this process's user namespace does not map every user, whoever it leaves out has this uid, the host's root too:
// in an unprivileged container (Apptainer, say) the host's own / and /tmp are such folders.
bool IsNobodyKnown(uid_t uid) {
  std::ifstream overflow("/proc/sys/fs/overflowuid"), map("/proc/self/uid_map");
  uint64_t unmapped = 0, inside = 0, outside = 0, count = 0;
  constexpr uint64_t kAll = 4294967295;
  return overflow >> unmapped && map >> inside >> outside >> count && count < kAll && uid == unmapped;
}

std::string Foreign(const std::string& what, const struct stat& info) {
  return fmt::format("{} belongs to user {}, neither to this one ({}) nor to root", what, info.st_uid, geteuid());
}

std::string Mode(const struct stat& info) { return fmt::format("mode {:04o}", info.st_mode & 07777); }

absl::Status Judge(int fd, const std::string& path, mode_t forbidden, const char* what, const std::string& remedy) {
  struct stat info {};
  if (fstat(fd, &info) != 0)
    return absl::PermissionDeniedError(fmt::format("cannot look at {}: {}", path, strerror(errno)));
  if (!IsTrusted(info))
    return absl::PermissionDeniedError(fmt::format("{}: chown {} {}", Foreign(path, info), geteuid(), path));
  if ((info.st_mode & forbidden) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(fmt::format("others may {} {} ({}): {}", what, path, Mode(info), remedy));
}

// One step of the way to a folder.
struct Step {
  UniqueFd fd;
  bool made = false;
  bool by_link = false;
  struct stat info {};
};

absl::StatusOr<Step> Enter(int above, const std::string& name, const std::string& path) {
  const auto failed = [&path](const char* what) {
    return absl::UnavailableError(fmt::format("cannot {} {}: {}", what, path, strerror(errno)));
  };
  Step step;
  step.fd = UniqueFd(openat(above, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!step.fd && errno == ENOENT) {
    step.made = mkdirat(above, name.c_str(), kOnlyOurs) == 0;
    if (!step.made && errno != EEXIST) return failed("create");
    step.fd = UniqueFd(openat(above, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!step.fd || fstat(step.fd.get(), &step.info) != 0) return failed("enter");
  if (S_ISLNK(step.info.st_mode)) {
    if (!IsTrusted(step.info))
      return absl::PermissionDeniedError(Foreign("the link " + path, step.info) + ": remove it");
    step.by_link = true;
    step.fd = UniqueFd(openat(above, name.c_str(), O_PATH | O_CLOEXEC));
    if (!step.fd || fstat(step.fd.get(), &step.info) != 0) return failed("enter");
  }
  if (!S_ISDIR(step.info.st_mode)) return absl::PermissionDeniedError(path + " is no folder: remove it");
  return step;
}

absl::Status CheckFolder(const Step& step, const std::string& path) {
  if (!IsTrusted(step.info) && !IsNobodyKnown(step.info.st_uid))
    return absl::PermissionDeniedError(Foreign(path, step.info) + ": remove it");
  const bool open_to_all = (step.info.st_mode & S_IWOTH) != 0 && (step.info.st_mode & S_ISVTX) == 0;
  if (!open_to_all || step.info.st_uid == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      fmt::format("others may write to {} ({}): chmod o-w {}", path, Mode(step.info), path));
}

// From the root to `path`: its last step.
absl::StatusOr<Step> Walk(const std::string& path) {
  Step at{.fd = UniqueFd(open("/", O_PATH | O_CLOEXEC))};
  std::filesystem::path so_far = "/";
  for (const auto& name : std::filesystem::absolute(path).relative_path()) {
    if (name.empty() || name == ".") continue;
    so_far /= name;
    ASSIGN_OR_RETURN(at, Enter(at.fd.get(), name, so_far));
    RETURN_IF_ERROR(CheckFolder(at, so_far));
  }
  return at;
}

absl::Status OrChoose(const absl::Status& why, const std::string& instead) {
  const bool has_remedy = absl::IsPermissionDenied(why);
  return absl::Status(why.code(),
                      fmt::format("{}{}{}", std::string(why.message()), has_remedy ? ", or " : ": ", instead));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenToRead(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0)
    return absl::NotFoundError(fmt::format("cannot read {}: {}", path, strerror(errno)));
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
    return absl::InvalidArgumentError(fmt::format("cannot read {}: it is no file", path));
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  return fd;
}

std::string ReadUpTo(size_t most, int fd) {
  std::string text;
  char part[4096];
  while (text.size() < most) {
    const ssize_t n = read(fd, part, std::min(sizeof(part), most - text.size()));
    if (n > 0) text.append(part, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) break;
  }
  return text;
}

absl::Status CheckTrusted(int fd, const std::string& path) {
  return Judge(fd, path, S_IWOTH, "write", "chmod o-w " + path);
}

absl::Status CheckSecret(int fd, const std::string& path) {
  RETURN_IF_ERROR(Judge(fd, path, S_IWGRP | S_IWOTH, "write", "chmod go-w " + path));
  return Judge(fd, path, S_IROTH, "read",
               fmt::format("chmod 600 {} (of a Kubernetes secret: defaultMode 0440, and fsGroup)", path));
}

absl::Status MakeTrustedFolder(const std::string& path, const std::string& instead) {
  auto there = Walk(path);
  if (!there.ok()) return OrChoose(there.status(), instead);
  const std::string opened = fmt::format("/proc/self/fd/{}", there->fd.get());
  if (faccessat(AT_FDCWD, opened.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return absl::OkStatus();
  return OrChoose(absl::UnavailableError(fmt::format("cannot make anything in {}: {}", path, strerror(errno))),
                  instead);
}

absl::StatusOr<bool> MakePrivateFolder(const std::string& path, const std::string& instead) {
  auto there = Walk(path);
  if (!there.ok()) return OrChoose(there.status(), instead);
  const auto refused = [&](const std::string& why) { return OrChoose(absl::PermissionDeniedError(why), instead); };
  if (there->by_link) return refused(path + " is a link: remove it");
  if (there->info.st_uid != geteuid()) return refused(Foreign(path, there->info) + ": remove it");
  if ((there->info.st_mode & 077) != 0)
    return refused(fmt::format("others may enter {} ({}): chmod 700 {}", path, Mode(there->info), path));
  return there->made;
}

}  // namespace netsense
