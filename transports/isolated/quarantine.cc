#include "transports/isolated/quarantine.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace netsense::isolated {

void Quarantine::Crashed(const std::string& peer, const std::string& how, MonotonicTime now) {
  std::erase_if(peers_, [&](const auto& entry) { return entry.second.forgotten <= now; });
  if (peers_.size() >= kMostPeers && !peers_.contains(peer))
    peers_.erase(std::min_element(peers_.begin(), peers_.end(),
                                  [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
  const size_t freest = FreestPlace(now);
  Record& record = peers_[peer];
  if (record.until <= now) record.place = freest;
  auto stay = std::chrono::minutes(kLongestStay);
  if (record.crashes < 16) stay = std::min(stay, kFirstStay * (1 << record.crashes));
  ++record.crashes;
  record.how = how;
  record.until = now + stay;
  record.forgotten = record.until + stay;
}

std::optional<Quarantine::Stay> Quarantine::Of(const std::string& peer, MonotonicTime now) const {
  auto found = peers_.find(peer);
  if (found == peers_.end() || found->second.until <= now) return std::nullopt;
  const Record& record = found->second;
  const auto left = std::chrono::ceil<std::chrono::minutes>(record.until - now).count();
  return Stay{record.place, absl::StrCat("sessions with ", peer, " are kept in a process apart for ", left,
                                         " min more: one ", record.how, " in a session with it")};
}

size_t Quarantine::FreestPlace(MonotonicTime now) const {
  std::array<size_t, kPlaces> taken{};
  for (const auto& [peer, record] : peers_)
    if (record.until > now) ++taken[record.place];
  return static_cast<size_t>(std::min_element(taken.begin(), taken.end()) - taken.begin());
}

}  // namespace netsense::isolated
