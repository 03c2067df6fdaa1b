#include "base/token_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/logging.h"
#include "base/process.h"

namespace netsense {

void TokenFollower::Look() {
  const auto token = FindToken(file_);
  const std::string problem(token.status().message());
  if (problem != problem_ && !problem.empty()) spdlog::warn("the token stays as it was: {}", problem);
  problem_ = problem;
  const bool is_steady = token.ok() && token->secret == seen_;
  seen_ = token.ok() ? token->secret : "";
  if (is_steady && ring_.Replace(token->secret))
    spdlog::info("the token was changed ({}); the one before is taken for {} more minutes", token->origin,
                 kTokenOverlap.count());
}

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
  thread_ = std::jthread(
      [follower = TokenFollower(std::move(token_file), std::move(ring))](const std::stop_token& stop) mutable {
        while (!SleepUnlessStopped(stop, std::chrono::seconds(1))) follower.Look();
      });
}

}  // namespace netsense
