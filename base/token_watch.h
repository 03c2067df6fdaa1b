// Follows the file that a token came from, so that a cluster's token can be changed while it runs.
#pragma once

#include <string>
#include <thread>
#include <utility>

#include "base/token.h"
#include "base/token_ring.h"

namespace netsense {

// The ring of a token that was just found, with the one before it where that is still taken.
TokenRing RingOf(const Token& token);

// The one to show first to somebody who may have a newer one or an older one.
std::string TokenToShow(const Token& token);

// Puts what is new in the file into `ring`, when two looks agree on it: a file that is written in pieces is not taken
// before it is whole. A file that can't be read any more leaves everything as it is, and the log says so.
class TokenFollower {
 public:
  TokenFollower(std::string token_file, TokenRing ring) : file_(std::move(token_file)), ring_(std::move(ring)) {}
  void Look();

 private:
  const std::string file_;
  TokenRing ring_;
  std::string seen_, problem_;  // at the last look
};

// Looks once a second, from a thread of its own. A token that stands in no file stays as it is.
class TokenWatch {
 public:
  TokenWatch(const Token& token, std::string token_file, TokenRing ring);

 private:
  std::jthread thread_;
};

}  // namespace netsense
