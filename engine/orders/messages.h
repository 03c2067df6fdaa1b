// Requests and results of engine/measure.h as the messages that a coordinator and a node exchange, both ways, in this
// one place. What comes from the other side is checked: InvalidArgument says what is wrong.
#pragma once

#include "absl/status/statusor.h"
#include "engine/measure.h"
#include "netsense/order.pb.h"

namespace netsense {

// Without the token: a node proves its own.
v1::PingOrder ToOrder(const PingRequest& request);
v1::BandwidthOrder ToOrder(const BandwidthRequest& request);
// The target must be a numeric address: a node resolves no names for others.
absl::StatusOr<PingRequest> FromOrder(const v1::PingOrder& order);
absl::StatusOr<BandwidthRequest> FromOrder(const v1::BandwidthOrder& order);

v1::PingFigures ToFigures(const PingResult& result);
v1::BandwidthFigures ToFigures(const BandwidthResult& result);
absl::StatusOr<PingResult> FromFigures(const v1::PingFigures& figures);
absl::StatusOr<BandwidthResult> FromFigures(const v1::BandwidthFigures& figures);

}  // namespace netsense
