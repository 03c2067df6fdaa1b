// netsense-ucx: UCX in a process of its own, started by netsense-engine and netsense-bench.
#include "base/logging.h"
#include "transports/isolated/host.h"
#include "transports/ucx/factory.h"

int main() {
  // What its user set stays; UCX's own signal handlers would only print a backtrace into our log.
  setenv("UCX_WARN_UNUSED_ENV_VARS", "n", 0);
  setenv("UCX_HANDLE_ERRORS", "none", 0);
  (void)netsense::InitLogging("netsense-ucx", "");
  auto transport = netsense::MakeUcxTransport();
  return netsense::isolated::HostTransport(*transport);
}
