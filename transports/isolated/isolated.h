// A backend in a child process, behind the same contract: a library that aborts on bad input takes only its own process
// along. The timing is done in the child, so what lies between the two processes is in no sample.
#pragma once

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
};

// Sessions end with Internal when the child died: our own fault, which says nothing of the peer. availability() then
// gives the reason until the child runs again.
std::unique_ptr<Transport> MakeIsolatedTransport(IsolatedBackend backend);

}  // namespace netsense
