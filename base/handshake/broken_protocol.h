// A peer that answers, but not with what was agreed upon, apart from one that is gone.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace netsense {

// Unavailable: the peer said `what`, for which the protocol has no place here.
absl::Status BrokenProtocol(std::string_view what);
// To whoever serves: the peer is gone, as it may. Not so who broke the protocol.
bool PeerLeft(const absl::Status& status);

}  // namespace netsense
