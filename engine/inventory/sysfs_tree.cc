#include "engine/inventory/sysfs_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace netsense::inventory {
namespace {

constexpr size_t kMaxBytes = 4096;  // of one file: what the kernel gives at most

struct Free {
  void operator()(char* text) const { free(text); }
};
struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::optional<std::string> Canonical(const std::string& path) {
  std::unique_ptr<char, Free> real(realpath(path.c_str(), nullptr));
  return real ? std::optional<std::string>(real.get()) : std::nullopt;
}

}  // namespace

absl::StatusOr<SysfsTree> SysfsTree::Open(const std::string& root) {
  auto real = Canonical(root);
  struct stat info;
  if (!real || stat(real->c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return absl::NotFoundError(absl::StrCat(root, " is no folder"));
  return SysfsTree(*std::move(real));
}

std::optional<std::string> SysfsTree::Resolve(const std::string& path) const {
  auto real = Canonical(absl::StrCat(root_, "/", path));
  if (!real) return std::nullopt;
  if (*real == root_) return "";
  const std::string inside = root_ == "/" ? "/" : root_ + "/";
  if (real->compare(0, inside.size(), inside) != 0) return std::nullopt;
  return real->substr(inside.size());
}

std::optional<std::string> SysfsTree::Read(const std::string& path) const {
  auto real = Resolve(path);
  if (!real) return std::nullopt;
  UniqueFd fd(open(absl::StrCat(root_, "/", *real).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::array<char, kMaxBytes> buffer;
  ssize_t size = read(fd.get(), buffer.data(), buffer.size());
  if (size < 0) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<size_t>(size));
  const std::string_view blank(" \t\r\n\0", 5);
  size_t first = std::min(text.find_first_not_of(blank), text.size());
  size_t last = text.find_last_not_of(blank);
  return std::string(text.substr(first, last == std::string_view::npos ? 0 : last - first + 1));
}

std::string SysfsTree::ReadOr(const std::string& path, const std::string& otherwise) const {
  return Read(path).value_or(otherwise);
}

std::optional<int64_t> SysfsTree::ReadInteger(const std::string& path) const {
  auto text = Read(path);
  if (!text) return std::nullopt;
  bool hexadecimal = text->rfind("0x", 0) == 0;
  const char* begin = text->data() + (hexadecimal ? 2 : 0);
  const char* end = text->data() + text->size();
  int64_t value = 0;
  auto [rest, error] = std::from_chars(begin, end, value, hexadecimal ? 16 : 10);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::vector<std::string> SysfsTree::List(const std::string& path) const {
  std::vector<std::string> names;
  auto real = Resolve(path);
  if (!real) return names;
  std::unique_ptr<DIR, CloseFolder> folder(opendir(absl::StrCat(root_, "/", *real).c_str()));
  while (folder && names.size() < kMaxEntries) {
    dirent* entry = readdir(folder.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool SysfsTree::IsFolder(const std::string& path) const {
  auto real = Resolve(path);
  struct stat info;
  return real && stat(absl::StrCat(root_, "/", *real).c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace netsense::inventory
