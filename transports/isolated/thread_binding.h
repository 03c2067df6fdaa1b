// A session in the child runs where the engine put the thread that asked for it: on the same processors, and with the
// same policy for memory. Linux's own calls, for the backend's process needs nothing else of hwloc.
#pragma once

#include "netsense/isolation.pb.h"

namespace netsense::isolated {

v1::ThreadBinding BindingOfThisThread();
void BindThisThread(const v1::ThreadBinding& binding);

}  // namespace netsense::isolated
