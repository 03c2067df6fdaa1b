// netsense-bridge token rotate: gives this node a new token, and keeps the one before for those that have it still.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/handshake/hello.h"
#include "base/private_file.h"
#include "base/replace_file.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "base/token_ring.h"
#include "raylet_bridge/cli/commands.h"

namespace netsense {
namespace {

constexpr size_t kLongest = 4096;

absl::StatusOr<std::string> FirstLineOf(int fd, const std::string& what) {
  const std::string text = ReadUpTo(kLongest, fd);
  std::string secret(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
  if (secret.empty()) return absl::InvalidArgumentError(absl::StrCat(what, " holds no token in its first line"));
  if (text.size() == kLongest || !std::all_of(secret.begin(), secret.end(), absl::ascii_isgraph))
    return absl::InvalidArgumentError(absl::StrCat(
        "the token in ", what, " is too long, or holds what is no printable ASCII: no HTTP header carries it"));
  return secret;
}

absl::StatusOr<std::string> NextToken(const std::string& next_file) {
  if (next_file == "-") return FirstLineOf(STDIN_FILENO, "standard input");
  if (!next_file.empty()) {
    ASSIGN_OR_RETURN(auto file, OpenToRead(next_file));
    RETURN_IF_ERROR(CheckSecret(file.get(), next_file));
    return FirstLineOf(file.get(), next_file);
  }
  std::array<uint8_t, 32> random;
  if (!FillRandom(random)) return absl::InternalError("the system has no randomness to give");
  return absl::BytesToHexString({reinterpret_cast<const char*>(random.data()), random.size()});
}

// Whoever names Ray's own file by a flag means Ray's token, too.
bool IsRaysFile(const std::string& path) {
  const char* home = std::getenv("HOME");
  const char* named = std::getenv("RAY_AUTH_TOKEN_PATH");
  std::error_code ignored;
  return (home != nullptr && std::filesystem::equivalent(path, std::string(home) + "/.ray/auth_token", ignored)) ||
         (named != nullptr && std::filesystem::equivalent(path, named, ignored));
}

// The token that is to be changed, and its file's owner and mode.
absl::StatusOr<Token> TokenToChange(const std::string& token_file, struct stat* file) {
  ASSIGN_OR_RETURN(auto token, FindToken(token_file));
  if (token.secret.empty()) return absl::NotFoundError("this node has no token: give --token-file");
  if (token.is_rays || IsRaysFile(token.path))
    return absl::FailedPreconditionError(absl::StrCat("the token (", token.origin,
                                                      ") is Ray's, which takes one token and no other: to change it, "
                                                      "stop Ray's cluster and start it with the new one"));
  if (lstat(token.path.c_str(), file) != 0) return absl::NotFoundError(absl::StrCat("cannot look at ", token.path));
  if (S_ISLNK(file->st_mode))
    return absl::FailedPreconditionError(
        absl::StrCat(token.path,
                     " is a link, as of a mounted secret: change what it is made from, and the programs "
                     "that run follow"));
  return token;
}

absl::Status Write(const std::string& path, const std::string& content, const struct stat& like) {
  ASSIGN_OR_RETURN(auto file, ReplaceFile(path, content, like.st_mode & 0777));
  if (fchown(file.get(), like.st_uid, like.st_gid) != 0)
    return absl::PermissionDeniedError(absl::StrCat(path, " could not be given to the owner of the one before"));
  return absl::OkStatus();
}

absl::Status Rotate(const std::string& token_file, const std::string& next_file) {
  struct stat file {};
  ASSIGN_OR_RETURN(auto token, TokenToChange(token_file, &file));
  ASSIGN_OR_RETURN(auto next, NextToken(next_file));
  if (next == token.secret) {
    std::cout << token.path << " has that token already\n";
    return absl::OkStatus();
  }
  if (token.before && token.before->until_epoch_ms > EpochMillis())
    return absl::FailedPreconditionError(
        fmt::format("the token was changed less than {} minutes ago, and the one before it is still taken: change it "
                    "again when that "
                    "time is over (or, where no node has it any more, remove {}{} first)",
                    kTokenOverlap.count(), token.path, kBeforeSuffix));
  const int64_t until_ms = EpochMillis() + std::chrono::milliseconds(kTokenOverlap).count();
  RETURN_IF_ERROR(Write(token.path + kBeforeSuffix, fmt::format("{}\n{}\n", token.secret, until_ms), file));
  RETURN_IF_ERROR(Write(token.path, next + "\n", file));
  const std::time_t until = until_ms / 1000;
  std::cout << fmt::format(
      "{0} has a new token, which the programs that run take within some seconds; the one before is taken until "
      "{1:%H:%M}.\n"
      "On every other node, within {2} minutes, with a copy of it (--next - reads it from standard input):\n"
      "  netsense-bridge token rotate --token-file {0} --next FILE\n"
      "A service of systemd has a copy of its own: systemctl restart netsense-bridge there, after that and in that "
      "time.\n",
      token.path, *std::localtime(&until), kTokenOverlap.count() / 2);
  return absl::OkStatus();
}

}  // namespace

int RotateToken(const std::string& token_file, const std::string& next_file) {
  const absl::Status rotated = Rotate(token_file, next_file);
  return rotated.ok() ? 0 : FailCommand(rotated);
}

}  // namespace netsense
