// Follows the file that a token came from, so that a cluster's token can be changed while it runs.
#pragma once

#include <string>
#include <thread>

#include "base/token.h"
#include "base/token_ring.h"

namespace netsense {

// The ring of a token that was just found, with the one before it where that is still taken.
TokenRing RingOf(const Token& token);

// The one to show first to somebody who may have a newer one or an older one.
std::string TokenToShow(const Token& token);

// Looks at the file once a second, from a thread of its own, and puts what is new there into `ring`. A token that
// stands in no file stays as it is. A file that can't be read any more leaves everything as it is, and the log says so.
class TokenWatch {
 public:
  TokenWatch(const Token& token, std::string token_file, TokenRing ring);

 private:
  std::jthread thread_;
};

}  // namespace netsense
