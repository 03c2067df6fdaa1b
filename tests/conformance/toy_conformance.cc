// The toy in the conformance suite. A backend of the registry leaves `make` out.
#include "tests/conformance/suite.h"
#include "tests/toy/factory.h"

namespace netsense::conformance {

const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "toy",
                                .variants = {Mode("plain")},
                                .deviations = {.busy_poll = false},
                                .make = [](const std::string& /*fault*/) { return MakeToyTransport(); }};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(Toy, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
