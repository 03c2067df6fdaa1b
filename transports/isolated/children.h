// The child processes of one backend: one that the sessions of all peers share, and a few more for peers in whose
// sessions one has crashed.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/isolated/child.h"
#include "transports/isolated/isolated.h"
#include "transports/isolated/quarantine.h"

namespace netsense::isolated {

// Thread-safe.
class Children {
 public:
  explicit Children(const IsolatedBackend& backend);

  // Of the process that most peers share: nobody is waited for.
  absl::Status availability() { return shared_.availability(); }
  // Of the process where sessions with this peer belong, as Child::Await.
  absl::Status Await(const std::string& peer, MonotonicTime deadline, const std::stop_token& stop);
  // As Child::Open, in the process where sessions with its peer belong.
  absl::StatusOr<std::unique_ptr<CarriedSession>> Open(const v1::ChildSession& session, UniqueFd door,
                                                       MonotonicTime deadline, const std::stop_token& stop);

 private:
  struct Place {
    Child* child;
    std::string why;  // it is not the shared one; empty: it is
  };
  Place PlaceOf(const std::string& peer);
  Child::Options OptionsOf(std::chrono::milliseconds ends_unused_after);
  void Crashed(const std::string& peer, const std::string& how);

  const IsolatedBackend backend_;
  std::mutex mutex_;
  Quarantine quarantine_;
  Child shared_;
  std::array<std::optional<Child>, Quarantine::kPlaces> apart_;  // made when they are needed, and kept
};

}  // namespace netsense::isolated
