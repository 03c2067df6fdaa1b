// The toy of docs/adding_a_transport.md: frames over the door's own TCP connection, as plainly as can be. It is built
// and held to the whole contract, so that the page stays true; no program has it.
#pragma once

#include <memory>

#include "transports/transport.h"

namespace netsense {

std::unique_ptr<Transport> MakeToyTransport();

}  // namespace netsense
