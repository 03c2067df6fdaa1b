// How the messages' enums are spelled: in JSON, metrics, tables and logs alike. What a newer release says and this one
// does not know is spelled, and read, as the enum's zero.
#pragma once

#include <optional>
#include <string>

#include "netsense/measurement.pb.h"
#include "netsense/session.pb.h"

namespace netsense {

std::string PathStateName(v1::PathState state);                 // "OK", "VERSION_MISMATCH"
std::string BandwidthStateName(v1::BandwidthState state);       // "MEASURED", "NOT_KNOWN"
std::string FabricName(v1::FabricKind fabric);                  // "infiniband", "omnipath", "unknown"
std::string FabricTitle(v1::FabricKind fabric);                 // in sentences: "InfiniBand", "Omni-Path"
std::string PortStateName(v1::PortState state);                 // "up"
std::string PortRoleName(v1::PortRole role);                    // "compute"
std::string TimestampSourceName(v1::TimestampSource source);    // "user", "kernel", "nic"; empty when unspecified
std::string WaitModeName(v1::WaitMode mode);                    // "blocking", "busy-poll"
std::string SeverityName(v1::CounterDelta::Severity severity);  // "congestion", which is the zero too; "error", "fatal"

std::optional<v1::PathState> ParsePathState(const std::string& name);  // nothing: no such name
v1::BandwidthState ParseBandwidthState(const std::string& name);
v1::FabricKind ParseFabric(const std::string& name);

}  // namespace netsense
