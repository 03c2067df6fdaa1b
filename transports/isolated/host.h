// The child's side: runs a backend for an engine that must not die with it.
#pragma once

#include "transports/transport.h"

namespace netsense::isolated {

// The whole main of such a program: says hello, gives each session a thread, and returns when the engine is gone.
int HostTransport(Transport& transport);

}  // namespace netsense::isolated
