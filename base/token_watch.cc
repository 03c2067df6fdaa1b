#include "base/token_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/logging.h"
#include "base/process.h"

namespace netsense {
namespace {

void Follow(const std::stop_token& stop, const std::string& token_file, TokenRing ring) {
  std::string problem, seen;
  while (!SleepUnlessStopped(stop, std::chrono::seconds(1))) {
    const auto token = FindToken(token_file);
    const std::string now(token.status().message());
    if (now != problem && !now.empty()) spdlog::warn("the token stays as it was: {}", now);
    problem = now;
    // Two looks must agree: a file that is written in pieces is not taken before it is whole.
    const bool is_steady = token.ok() && token->secret == seen;
    seen = token.ok() ? token->secret : "";
    if (is_steady && ring.Replace(token->secret))
      spdlog::info("the token was changed ({}); the one before is taken for {} more minutes", token->origin,
                   kTokenOverlap.count());
  }
}

}  // namespace

TokenRing RingOf(const Token& token) {
  TokenRing ring(token.secret);
  if (!token.before) return ring;
  const std::chrono::milliseconds left(token.before->until_epoch_ms - EpochMillis());
  // A wall clock that is wrong does not lengthen its life.
  if (left.count() > 0)
    ring.TakeUntil(token.before->secret, MonotonicNow() + std::min<std::chrono::milliseconds>(left, kTokenOverlap));
  return ring;
}

std::string TokenToShow(const Token& token) { return RingOf(token).shown().front(); }

TokenWatch::TokenWatch(const Token& token, std::string token_file, TokenRing ring) {
  if (token.path.empty()) return;
  thread_ = std::jthread([file = std::move(token_file), ring = std::move(ring)](const std::stop_token& stop) {
    Follow(stop, file, ring);
  });
}

}  // namespace netsense
