// The coordinator's end of a session for orders: has another node measure towards a third one.
#pragma once

#include <stop_token>

#include "absl/status/statusor.h"
#include "engine/measure.h"
#include "netsense/order.pb.h"
#include "transports/door/dial.h"

namespace netsense {

// Used by one thread at a time; the destructor ends the order that runs. Codes of the node's own answer as in
// engine/measure.h; a status of the session itself (the node left, said nonsense, or did not answer in time) has
// broken() set, and nothing more comes over it.
class OrderSession {
 public:
  static absl::StatusOr<OrderSession> Open(const DialTarget& node, MonotonicTime deadline, std::stop_token stop);

  absl::StatusOr<v1::NodeDescription> Describe(MonotonicTime deadline, const std::stop_token& stop);
  // The request's token is not told: the node proves its own to the target.
  absl::StatusOr<PingResult> Ping(const PingRequest& request, MonotonicTime deadline, const std::stop_token& stop);
  absl::StatusOr<BandwidthResult> Bandwidth(const BandwidthRequest& request, MonotonicTime deadline,
                                            const std::stop_token& stop);
  bool broken() const { return broken_; }

 private:
  OrderSession(UniqueFd fd, FrameSeal seal) : fd_(std::move(fd)), seal_(std::move(seal)) {}
  absl::StatusOr<v1::OrderAnswer> Run(const v1::Order& order, v1::OrderAnswer::KindCase wanted, MonotonicTime deadline,
                                      const std::stop_token& stop);

  UniqueFd fd_;
  FrameSeal seal_;
  bool broken_ = false;
};

}  // namespace netsense
