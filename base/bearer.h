// Who shows a token in a header (RFC 6750, 2.1; the scheme's name in any case: RFC 9110, 11.1).
#pragma once

#include <string_view>

#include "base/token_ring.h"

namespace netsense {

// Whether the value of an `Authorization` header is `Bearer` and one of the tokens that are accepted, in a time that
// does not depend on where they differ.
bool ShowsToken(std::string_view authorization, const TokenRing& tokens);

}  // namespace netsense
