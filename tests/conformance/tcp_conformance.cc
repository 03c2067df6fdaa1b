// TCP in the conformance suite: the whole contract, nothing to declare.
#include "tests/conformance/suite.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "tcp", .variants = {Mode("stream")}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
