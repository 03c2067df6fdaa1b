// RDMA verbs in the conformance suite. Run inside the VM (tests/vm): Soft-RoCE under emulation, where all takes many
// times longer: tests/lab/pace.h measures how many.
#include "tests/conformance/suite.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{
      .transport = "verbs",
      .variants = {Mode("write"), Mode("read")},
      .deviations = {.parallel_sessions = 3, .cycles = 4, .large_stream_bytes = 2 << 20, .over_the_door = false}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Verbs, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
