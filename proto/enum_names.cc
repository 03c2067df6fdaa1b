#include "proto/enum_names.h"

#include <google/protobuf/generated_enum_reflection.h>

#include <string_view>

#include "absl/strings/ascii.h"

namespace netsense {
namespace {

// (PATH_STATE_OK, "PATH_STATE_") -> "OK"
template <typename Enum>
std::string Bare(Enum value, std::string_view prefix) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>();
  const auto* known = descriptor->FindValueByNumber(value);
  return (known == nullptr ? descriptor->FindValueByNumber(0) : known)->name().substr(prefix.size());
}

template <typename Enum>
std::string Small(Enum value, std::string_view prefix) {
  return absl::AsciiStrToLower(Bare(value, prefix));
}

constexpr char kPathState[] = "PATH_STATE_", kBandwidthState[] = "BANDWIDTH_STATE_", kFabric[] = "FABRIC_KIND_";

}  // namespace

std::string PathStateName(v1::PathState state) { return Bare(state, kPathState); }
std::string BandwidthStateName(v1::BandwidthState state) { return Bare(state, kBandwidthState); }
std::string FabricName(v1::FabricKind fabric) { return Small(fabric, kFabric); }
std::string PortStateName(v1::PortState state) { return Small(state, "PORT_STATE_"); }
std::string PortRoleName(v1::PortRole role) { return Small(role, "PORT_ROLE_"); }

std::string FabricTitle(v1::FabricKind fabric) {
  switch (fabric) {
    case v1::FABRIC_KIND_ETHERNET:
      return "Ethernet";
    case v1::FABRIC_KIND_ROCE:
      return "RoCE";
    case v1::FABRIC_KIND_INFINIBAND:
      return "InfiniBand";
    case v1::FABRIC_KIND_IWARP:
      return "iWARP";
    case v1::FABRIC_KIND_EFA:
      return "EFA";
    case v1::FABRIC_KIND_SLINGSHOT:
      return "Slingshot";
    case v1::FABRIC_KIND_OMNIPATH:
      return "Omni-Path";
    case v1::FABRIC_KIND_WIFI:
      return "Wi-Fi";
    case v1::FABRIC_KIND_LOOPBACK:
      return "loopback";
    default:
      return "fabric not known";
  }
}

std::string TimestampSourceName(v1::TimestampSource source) {
  std::string name = Small(source, "TIMESTAMP_SOURCE_");
  return name == "unspecified" ? "" : name;
}

std::string WaitModeName(v1::WaitMode mode) { return mode == v1::WAIT_MODE_BUSY_POLL ? "busy-poll" : "blocking"; }

std::string SeverityName(v1::CounterDelta::Severity severity) {
  switch (severity) {
    case v1::CounterDelta::SEVERITY_FATAL:
      return "fatal";
    case v1::CounterDelta::SEVERITY_ERROR:
      return "error";
    default:
      return "congestion";
  }
}

std::optional<v1::PathState> ParsePathState(const std::string& name) {
  v1::PathState state = v1::PATH_STATE_UNKNOWN;
  if (!v1::PathState_Parse(kPathState + name, &state)) return std::nullopt;
  return state;
}

v1::BandwidthState ParseBandwidthState(const std::string& name) {
  v1::BandwidthState state = v1::BANDWIDTH_STATE_NOT_KNOWN;
  (void)v1::BandwidthState_Parse(kBandwidthState + name, &state);
  return state;
}

v1::FabricKind ParseFabric(const std::string& name) {
  v1::FabricKind fabric = v1::FABRIC_KIND_UNKNOWN;
  (void)v1::FabricKind_Parse(kFabric + absl::AsciiStrToUpper(name), &fabric);
  return fabric;
}

}  // namespace netsense
