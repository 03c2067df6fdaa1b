// RDMA verbs in the conformance suite. Run inside the VM (tests/vm): Soft-RoCE under emulation, where everything that
// takes time may take many times longer.
#include "tests/conformance/suite.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{
      .transport = "verbs",
      .variants = {Mode("write"), Mode("read")},
      .deviations = {
          .time_scale = 5, .parallel_sessions = 3, .cycles = 4, .large_stream_bytes = 2 << 20, .open_may_fail = true}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Verbs, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
