#include "transports/isolated/children.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging.h"

namespace netsense::isolated {
namespace {

absl::Status With(const absl::Status& status, const std::string& why) {
  if (status.ok() || why.empty()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", why, ")"));
}

}  // namespace

Children::Children(const IsolatedBackend& backend) : backend_(backend), shared_(OptionsOf({})) {}

Child::Options Children::OptionsOf(std::chrono::milliseconds ends_unused_after) {
  return {.what = backend_.name,
          .program = backend_.program,
          .environment = backend_.environment,
          .ends_unused_after = ends_unused_after,
          .on_crash = [this](const std::string& peer, const std::string& how) { Crashed(peer, how); }};
}

void Children::Crashed(const std::string& peer, const std::string& how) {
  std::lock_guard lock(mutex_);
  const MonotonicTime now = MonotonicNow();
  quarantine_.Crashed(peer, how, now);
  spdlog::warn("{}: {}", backend_.name, quarantine_.Of(peer, now)->reason);
}

Children::Place Children::PlaceOf(const std::string& peer) {
  std::lock_guard lock(mutex_);
  auto stay = quarantine_.Of(peer, MonotonicNow());
  if (!stay) return {&shared_, ""};
  auto& child = apart_[stay->place];
  if (!child) child.emplace(OptionsOf(backend_.ends_unused_after));
  return {&*child, std::move(stay->reason)};
}

absl::Status Children::Await(const std::string& peer, MonotonicTime deadline, const std::stop_token& stop) {
  const Place place = PlaceOf(peer);
  return With(place.child->Await(deadline, stop), place.why);
}

absl::StatusOr<std::unique_ptr<CarriedSession>> Children::Open(const v1::ChildSession& session, UniqueFd door,
                                                               MonotonicTime deadline, const std::stop_token& stop) {
  const Place place = PlaceOf(session.peer_address());
  auto carried = place.child->Open(session, std::move(door), deadline, stop);
  if (!carried.ok()) return With(carried.status(), place.why);
  return carried;
}

}  // namespace netsense::isolated
