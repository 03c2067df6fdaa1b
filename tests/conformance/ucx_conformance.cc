// UCX in the conformance suite, over TCP and over shared memory. UCX 1.13 now and then aborts when a peer leaves in the
// middle of a message (uct_iface.h: comp->count > 0): its process is started again.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "ucx",
                                .variants = {UcxOver("tcp", "tcp"), UcxOver("shm", "posix,sysv,cma")},
                                .deviations = {.over_the_door = false, .process_may_die = true}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Ucx, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
