// Untrusted: the file that somebody named as the cluster's token, and the one beside it with the token before. The
// input has both, with a line "=====" between them. What must hold: a token is one line without white space around it,
// as it stands in the file.
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/token.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

// One folder for all inputs, and nobody else's.
const std::filesystem::path& Folder() {
  static const std::filesystem::path folder = [] {
    std::string name = std::filesystem::temp_directory_path() / "netsense_fuzz_token_XXXXXX";
    std::atexit([] { std::filesystem::remove_all(Folder()); });
    return std::filesystem::path(mkdtemp(name.data()));
  }();
  return folder;
}

void Write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path) << text;
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

void CheckSecret(const std::string& secret, std::string_view file) {
  MustHold(!secret.empty() && secret.find('\n') == std::string::npos, "a token is one line");
  MustHold(std::isspace(static_cast<unsigned char>(secret.front())) == 0 &&
               std::isspace(static_cast<unsigned char>(secret.back())) == 0,
           "a token has no white space around it");
  MustHold(file.find(secret) != std::string_view::npos, "a token is what stands in the file");
}

void Run(std::string_view bytes) {
  Input input(bytes);
  const std::string_view now = input.TakeUntil("\n=====\n"), before = input.Rest();
  const std::filesystem::path path = Folder() / "token";
  Write(path, now);
  Write(path.string() + kBeforeSuffix, before);
  const auto token = FindToken(path);
  if (!token.ok()) return;
  CheckSecret(token->secret, now);
  if (token->before) CheckSecret(token->before->secret, before);
}

const Harness kHarness("token_file", Run);

}  // namespace
}  // namespace netsense::fuzz
