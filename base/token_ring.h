// The tokens that a running program takes while the token of its cluster is changed: the one that it has now, and for a
// while the one before.
//
// Nodes get a new token one after the other, so for half of kTokenOverlap whoever connects shows the one before, which
// everybody takes, and then the new one. Whoever is refused shows the other one.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace netsense {

inline constexpr std::chrono::minutes kTokenOverlap{60};

// Copies share what they hold. Thread-safe.
class TokenRing {
 public:
  TokenRing(std::string token = "");  // NOLINT(google-explicit-constructor): one token is a ring of one
  TokenRing(const char* token) : TokenRing(std::string(token)) {}  // NOLINT(google-explicit-constructor)

  // There is no token, and never will be.
  bool empty() const;
  std::string current() const;
  // Those that prove who knows the token, the current one first; never empty, but "" where there is no token.
  std::vector<std::string> accepted(MonotonicTime now = MonotonicNow()) const;
  // The same, in the order in which to show them.
  std::vector<std::string> shown(MonotonicTime now = MonotonicNow()) const;

  // From now on `next` is the current one, and the one before is taken for kTokenOverlap. False: nothing changed, for
  // it is the current one, or there is none, or never was one.
  bool Replace(const std::string& next, MonotonicTime now = MonotonicNow());
  // Of a change before this program began.
  void TakeUntil(const std::string& before, MonotonicTime until);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace netsense
