#include "base/bearer.h"

#include <openssl/crypto.h>

#include "absl/strings/match.h"

namespace netsense {
namespace {

constexpr std::string_view kScheme = "Bearer ";

}  // namespace

bool ShowsToken(std::string_view authorization, const TokenRing& tokens) {
  const std::string_view scheme = authorization.substr(0, kScheme.size());
  const std::string_view shown = authorization.substr(scheme.size());
  bool same = false;
  for (const std::string& token : tokens.accepted())
    same |= shown.size() == token.size() && CRYPTO_memcmp(shown.data(), token.data(), token.size()) == 0;
  return same && !tokens.empty() &&
         absl::EqualsIgnoreCase({scheme.data(), scheme.size()}, {kScheme.data(), kScheme.size()});
}

}  // namespace netsense
