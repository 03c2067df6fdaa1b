#include "transports/registry.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transports/grpc/factory.h"
#include "transports/missing.h"
#include "transports/tcp/factory.h"
#include "transports/ucx/factory.h"
#ifdef NETSENSE_HAVE_VERBS
#include "transports/verbs/factory.h"
#endif

namespace netsense {

TransportRegistry::TransportRegistry() {
  transports_.push_back(MakeTcpTransport());
  transports_.push_back(MakeGrpcTransport());
  transports_.push_back(MakeIsolatedUcxTransport());
#ifdef NETSENSE_HAVE_VERBS
  transports_.push_back(MakeVerbsTransport());
#else
  transports_.push_back(MakeMissingTransport("verbs", "built without it: libibverbs-dev was not there"));
#endif
}

absl::StatusOr<Transport*> TransportRegistry::Find(std::string_view name) const {
  ASSIGN_OR_RETURN(auto transport, Named(name));
  RETURN_IF_ERROR(transport->availability());
  return transport;
}

absl::StatusOr<Transport*> TransportRegistry::Await(std::string_view name, MonotonicTime deadline,
                                                    const std::stop_token& stop,
                                                    const std::string& peer_address) const {
  ASSIGN_OR_RETURN(auto transport, Named(name));
  RETURN_IF_ERROR(transport->AwaitAvailability(peer_address, deadline, stop));
  return transport;
}

absl::StatusOr<Transport*> TransportRegistry::Named(std::string_view name) const {
  std::string known;
  for (const auto& transport : transports_) {
    if (transport->name() == name) return transport.get();
    absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(transport->name()));
  }
  return absl::UnimplementedError(absl::StrCat("no transport '", std::string(name), "' here; there is: ", known));
}

std::vector<v1::TransportInfo> TransportRegistry::Describe() const {
  const MonotonicTime deadline = MonotonicNow() + deadlines::kChildAnswer();
  std::vector<v1::TransportInfo> list;
  for (const auto& transport : transports_) {
    v1::TransportInfo& info = list.emplace_back();
    info.set_name(std::string(transport->name()));
    auto status = transport->AwaitAvailability("", deadline, {});
    info.set_available(status.ok());
    info.set_reason(std::string(status.message()));
    for (std::string& name : transport->capabilities().Names()) info.add_capabilities(std::move(name));
    for (std::string& mode : transport->capabilities().modes) info.add_modes(std::move(mode));
  }
  return list;
}

}  // namespace netsense
