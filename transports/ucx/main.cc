// netsense-ucx: UCX in a process of its own, started by netsense-engine and netsense-bench.
#include "base/logging.h"
#include "transports/isolated/host.h"
#include "transports/ucx/factory.h"

int main() {
  (void)netsense::InitLogging("netsense-ucx", "");
  auto transport = netsense::MakeUcxTransport();
  return netsense::isolated::HostTransport(*transport);
}
