#include "base/token.h"

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

constexpr size_t kLongest = 64 << 10;

enum class WhoseFile { kOurs, kRays };

// Ray writes its file with the user's umask, as a rule readable by all, and reads it whatever its mode: to refuse it
// would part us from Ray.
absl::Status Judge(const absl::Status& secret, WhoseFile whose) {
  if (secret.ok() || whose == WhoseFile::kOurs) return secret;
  static std::once_flag said;
  std::call_once(said,
                 [&] { spdlog::warn("Ray's token is no secret on this host: {}", std::string(secret.message())); });
  return absl::OkStatus();
}

// Nothing where there is none. One that others could have written proves nothing.
std::optional<Token::Before> ReadBefore(const std::string& path) {
  auto file = OpenToRead(path);
  if (!file.ok() || !CheckSecret(file->get(), path).ok()) return std::nullopt;
  const std::vector<std::string> lines = absl::StrSplit(ReadUpTo(kLongest, file->get()), '\n');
  Token::Before before{std::string(absl::StripAsciiWhitespace(lines[0]))};
  if (before.secret.empty() || lines.size() < 2 || !absl::SimpleAtoi(lines[1], &before.until_epoch_ms))
    return std::nullopt;
  return before;
}

absl::StatusOr<Token> ReadTokenFile(const std::string& path, const std::string& named_by, WhoseFile whose) {
  const auto explain = [&](const absl::Status& why) {
    return absl::Status(why.code(),
                        absl::StrCat("the token file (named by ", named_by, "): ", std::string(why.message())));
  };
  auto file = OpenToRead(path);
  if (!file.ok()) return explain(file.status());
  if (auto fit = Judge(CheckSecret(file->get(), path), whose); !fit.ok()) return explain(fit);
  const std::string text = ReadUpTo(kLongest, file->get());
  std::string secret(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
  if (secret.empty()) return explain(absl::InvalidArgumentError(path + " is empty"));
  return Token{std::move(secret), absl::StrCat("file ", path), path, whose == WhoseFile::kRays,
               ReadBefore(path + kBeforeSuffix)};
}

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<Token> FindToken(const std::string& token_file) {
  if (!token_file.empty()) return ReadTokenFile(token_file, "--token-file", WhoseFile::kOurs);
  if (auto path = Env("NETSENSE_TOKEN_FILE"); !path.empty())
    return ReadTokenFile(path, "NETSENSE_TOKEN_FILE", WhoseFile::kOurs);
  if (auto text = Env("RAY_AUTH_TOKEN"); !text.empty()) {
    std::string secret(absl::StripAsciiWhitespace(text));
    if (secret.empty()) return absl::InvalidArgumentError("RAY_AUTH_TOKEN holds only white space");
    return Token{.secret = std::move(secret), .origin = "RAY_AUTH_TOKEN", .is_rays = true};
  }
  if (auto path = Env("RAY_AUTH_TOKEN_PATH"); !path.empty())
    return ReadTokenFile(path, "RAY_AUTH_TOKEN_PATH", WhoseFile::kRays);
  if (auto home = Env("HOME"); !home.empty()) {
    std::string path = home + "/.ray/auth_token";
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return ReadTokenFile(path, "Ray's default place", WhoseFile::kRays);
  }
  return Token{};
}

}  // namespace netsense
