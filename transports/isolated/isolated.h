// A backend in a child process, behind the same contract: a library that aborts on bad input takes only its own process
// along. The timing is done in the child, so what lies between the two processes is in no sample.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "transports/transport.h"

namespace netsense {

struct IsolatedBackend {
  std::string name;
  std::string program;  // beside our own executable, or in ../libexec/netsense
  Capabilities capabilities;
  std::vector<std::string> environment = {};  // "NAME=value" for the child, where our own has no NAME
  // A process of peers that are kept apart ends when it had no session for so long.
  std::chrono::milliseconds ends_unused_after = std::chrono::minutes(1);
};

// Sessions end with Internal when the child died: our own fault, which says nothing of the peer. availability() then
// gives the reason until the child runs again. A peer in whose session it has crashed gets a process apart from the
// others' (quarantine.h): its next sessions say so when they end with that process or are refused.
std::unique_ptr<Transport> MakeIsolatedTransport(IsolatedBackend backend);

}  // namespace netsense
