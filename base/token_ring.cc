#include "base/token_ring.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace netsense {

struct TokenRing::State {
  struct Before {
    std::string token;
    MonotonicTime until;
  };
  std::mutex mutex;
  std::string current;
  std::vector<Before> before;  // the latest first

  void Forget(MonotonicTime now) {
    std::erase_if(before, [&](const Before& one) { return one.until <= now || one.token == current; });
  }
};

TokenRing::TokenRing(std::string token) : state_(std::make_shared<State>()) { state_->current = std::move(token); }

bool TokenRing::empty() const { return current().empty(); }

std::string TokenRing::current() const {
  std::lock_guard lock(state_->mutex);
  return state_->current;
}

std::vector<std::string> TokenRing::accepted(MonotonicTime now) const {
  std::lock_guard lock(state_->mutex);
  state_->Forget(now);
  std::vector<std::string> tokens{state_->current};
  for (const State::Before& one : state_->before) tokens.push_back(one.token);
  return tokens;
}

std::vector<std::string> TokenRing::shown(MonotonicTime now) const {
  std::vector<std::string> tokens = accepted(now);
  std::lock_guard lock(state_->mutex);
  if (tokens.size() > 1 && !state_->before.empty() && state_->before.front().until - now > kTokenOverlap / 2)
    std::swap(tokens[0], tokens[1]);
  return tokens;
}

bool TokenRing::Replace(const std::string& next, MonotonicTime now) {
  std::lock_guard lock(state_->mutex);
  if (next.empty() || state_->current.empty() || next == state_->current) return false;
  state_->before.insert(state_->before.begin(), {std::exchange(state_->current, next), now + kTokenOverlap});
  state_->Forget(now);
  return true;
}

void TokenRing::TakeUntil(const std::string& before, MonotonicTime until) {
  std::lock_guard lock(state_->mutex);
  if (before.empty() || state_->current.empty()) return;
  state_->before.insert(state_->before.begin(), {before, until});
}

}  // namespace netsense
