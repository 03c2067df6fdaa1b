// `netsense-bench serve`: a responder for a person's measurements, without an engine's share of bandwidth.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "engine/pinning.h"
#include "transports/door/door.h"

namespace netsense {

// Serves until `stop`. Announces the port it listens on: one line on stdout, JSON when `as_json`.
absl::Status Serve(DoorOptions door, const PinningOptions& pinning, bool as_json, std::stop_token stop);

}  // namespace netsense
