// Speaks to the engine that lives on a Unix socket (proto/netsense/engine.proto).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "netsense/engine.pb.h"

namespace netsense {

// One connection: when it is lost every call returns Unavailable, and a new client must be made. Thread-safe. Calls
// block for at most deadlines::kEngineAnswer, GetInfo for kEngineFirstAnswer (DeadlineExceeded). Other codes are the
// engine's own, NotFound from RenewLease for one.
class EngineClient {
 public:
  // Unavailable: no engine answers there; PermissionDenied: whoever listens there is neither this user nor root.
  static absl::StatusOr<std::unique_ptr<EngineClient>> Connect(const std::string& socket_path);
  virtual ~EngineClient() = default;

  // For its answer an engine tries its transports. Cancelled: `stop`.
  virtual absl::StatusOr<v1::EngineInfo> GetInfo(std::stop_token stop) = 0;
  virtual absl::StatusOr<v1::ApplyPlanReply> ApplyPlan(const v1::Plan& plan) = 0;
  virtual absl::Status RenewLease(const std::string& plan_id, uint32_t lease_ms) = 0;
  // Blocks, and calls `on_snapshot` on this thread for each message, until the connection is lost (Unavailable) or
  // `stop` (Cancelled).
  virtual absl::Status WatchResults(std::stop_token stop,
                                    const std::function<void(const v1::Snapshot&)>& on_snapshot) = 0;
};

}  // namespace netsense
