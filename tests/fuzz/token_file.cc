// Untrusted: the file that somebody named as the cluster's token. What must hold: a token is one line without white
// space around it, and no error tells it.
#include <cctype>
#include <string>

#include "base/token.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/memory_file.h"

namespace netsense::fuzz {
namespace {

void Run(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto token = FindToken(file.path());
  if (!token.ok()) return;
  const std::string& secret = token->secret;
  MustHold(!secret.empty() && secret.find('\n') == std::string::npos, "a token is one line");
  MustHold(std::isspace(static_cast<unsigned char>(secret.front())) == 0 &&
               std::isspace(static_cast<unsigned char>(secret.back())) == 0,
           "a token has no white space around it");
  MustHold(bytes.find(secret) != std::string_view::npos, "a token is what stands in the file");
}

const Harness kHarness("token_file", Run);

}  // namespace
}  // namespace netsense::fuzz
