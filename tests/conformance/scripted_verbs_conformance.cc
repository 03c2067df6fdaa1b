// RDMA verbs in the conformance suite, over the scripted provider (tests/provider): the whole contract, nothing to
// declare. The real thing is verbs_conformance.cc.
#include <cstdlib>

#include "tests/conformance/suite.h"
#include "tests/provider/fabric/fabric.h"
#include "transports/verbs/factory.h"

namespace netsense::conformance {
namespace {

// The prober's process has the fabric, and the peers that it starts find it by the environment.
std::unique_ptr<Transport> MakeScriptedVerbs(const std::string& /*fault*/) {
  if (std::getenv(provider::wire::kFabricVariable) == nullptr) {
    setenv("NETSENSE_CONFORMANCE_RESPONDER", "127.0.0.2", 0);  // a device each
    static provider::Fabric fabric(
        {provider::RoceDevice("mlx5_0", ProberAddress()), provider::RoceDevice("mlx5_1", ResponderAddress())});
  }
  return MakeVerbsTransport(provider::Fabric::Sysfs());
}

}  // namespace

const Backend& ThisBackend() {
  static const Backend kBackend{.transport = "verbs",
                                .variants = {Mode("write"), Mode("read")},
                                .deviations = {.over_the_door = false},
                                .make = MakeScriptedVerbs};
  return kBackend;
}

INSTANTIATE_TEST_SUITE_P(ScriptedVerbs, Conformance, testing::ValuesIn(EveryWay(ThisBackend())), NameOfWay);

}  // namespace netsense::conformance
