// netsense-ucx: UCX in a process of its own, started by netsense-engine and netsense-bench.
#include <cstdlib>

#include "base/logging.h"
#include "transports/isolated/host.h"
#include "transports/ucx/factory.h"

int main() {
  (void)netsense::InitLogging("netsense-ucx", "");
  auto transport = netsense::MakeUcxTransport();
  // Not by way of exit: UCX's own clean-up of the process aborts now and then, and the kernel's is enough.
  std::_Exit(netsense::isolated::HostTransport(*transport));
}
