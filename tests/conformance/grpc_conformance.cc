// gRPC in the conformance suite: both modes, nothing to declare.
#include "tests/conformance/suite.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "grpc", .variants = {Mode("unary"), Mode("stream")}};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Grpc, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
