#include "base/token.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

absl::StatusOr<Token> ReadTokenFile(const std::string& path, const std::string& named_by) {
  std::ifstream file(path);
  std::string line;
  if (!file)
    return absl::NotFoundError(absl::StrCat("cannot read the token file ", path, " (named by ", named_by, ")"));
  std::getline(file, line);
  std::string secret(absl::StripAsciiWhitespace(line));
  if (secret.empty())
    return absl::InvalidArgumentError(absl::StrCat("the token file ", path, " (named by ", named_by, ") is empty"));
  return Token{std::move(secret), absl::StrCat("file ", path)};
}

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<Token> FindToken(const std::string& token_file) {
  if (!token_file.empty()) return ReadTokenFile(token_file, "--token-file");
  if (auto path = Env("NETSENSE_TOKEN_FILE"); !path.empty()) return ReadTokenFile(path, "NETSENSE_TOKEN_FILE");
  if (auto text = Env("RAY_AUTH_TOKEN"); !text.empty()) {
    std::string secret(absl::StripAsciiWhitespace(text));
    if (secret.empty()) return absl::InvalidArgumentError("RAY_AUTH_TOKEN holds only white space");
    return Token{std::move(secret), "RAY_AUTH_TOKEN"};
  }
  if (auto path = Env("RAY_AUTH_TOKEN_PATH"); !path.empty()) return ReadTokenFile(path, "RAY_AUTH_TOKEN_PATH");
  if (auto home = Env("HOME"); !home.empty()) {
    std::string path = home + "/.ray/auth_token";
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return ReadTokenFile(path, "Ray's default place");
  }
  return Token{};
}

}  // namespace netsense
