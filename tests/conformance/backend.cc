#include "tests/conformance/backend.h"

#include <utility>

#include "transports/ucx/factory.h"

namespace netsense::conformance {

std::unique_ptr<TransportRegistry> MakeRegistry(const Backend& backend, const std::string& fault) {
  if (backend.make == nullptr) return std::make_unique<TransportRegistry>();
  std::vector<std::unique_ptr<Transport>> transports;
  transports.push_back(backend.make(fault));
  return std::make_unique<TransportRegistry>(std::move(transports));
}

std::vector<Way> EveryWay(const Backend& backend) {
  std::vector<Way> ways;
  for (const Variant& variant : backend.variants) {
    ways.push_back({variant, v1::WAIT_MODE_BLOCK});
    if (backend.deviations.busy_poll) ways.push_back({variant, v1::WAIT_MODE_BUSY_POLL});
  }
  return ways;
}

std::string NameOfWay(const testing::TestParamInfo<Way>& info) {
  return info.param.variant.name + (info.param.wait_mode == v1::WAIT_MODE_BLOCK ? "_blocking" : "_busy_poll");
}

void PrintTo(const Way& way, std::ostream* out) { *out << NameOfWay({way, 0}); }

Variant Mode(const std::string& mode) {
  Variant variant{.name = mode, .options = {}};
  variant.options.set_mode(mode);
  return variant;
}

Variant UcxOver(const std::string& name, const std::string& tls) {
  Variant variant = Mode("am");
  variant.name = name;
  (*variant.options.mutable_values())[kUcxTls] = tls;
  return variant;
}

}  // namespace netsense::conformance
