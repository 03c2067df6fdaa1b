// netsense-ucx: UCX in a process of its own, started by netsense-engine and netsense-bench.
#include <malloc.h>

#include <cstdlib>

#include "base/logging.h"
#include "base/process.h"
#include "transports/isolated/host.h"
#include "transports/ucx/factory.h"

int main() {
  (void)netsense::InitLogging("netsense-ucx", "");
  // Else glibc, once a stream's buffers were freed, takes the next ones from what another thread has touched, maybe on
  // another NUMA node.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  netsense::ShareHeaps();
  auto transport = netsense::MakeUcxTransport();
  // Not by way of exit: UCX's own clean-up of the process aborts now and then, and the kernel's is enough.
  std::_Exit(netsense::isolated::HostTransport(*transport));
}
