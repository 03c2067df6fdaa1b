// UCX over RDMA in the conformance suite. Run inside the VM (tests/vm), like verbs.
#include "tests/conformance/suite.h"

namespace netsense::conformance {
const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "ucx",
                                .variants = {UcxOver("rc", "rc_verbs,ud_verbs:aux"), UcxOver("ud", "ud_verbs")},
                                .deviations = {.parallel_sessions = 3,
                                               .cycles = 4,
                                               .large_stream_bytes = 2 << 20,
                                               .over_the_door = false,
                                               .process_may_die = true}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(UcxRdma, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
