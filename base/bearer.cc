#include "base/bearer.h"

#include <openssl/crypto.h>

namespace netsense {

bool ShowsToken(std::string_view authorization, const TokenRing& tokens) {
  bool same = false;
  for (const std::string& token : tokens.accepted()) {
    const std::string wanted = "Bearer " + token;
    same |=
        authorization.size() == wanted.size() && CRYPTO_memcmp(authorization.data(), wanted.data(), wanted.size()) == 0;
  }
  return same && !tokens.empty();
}

}  // namespace netsense
