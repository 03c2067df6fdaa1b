// How single values stand in netsense's JSON documents: names of enums, and fields of documents that other hosts wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "netsense/measurement.pb.h"

namespace netsense {

// "OK", "VERSION_MISMATCH".
std::string PathStateName(v1::PathState state);
std::string BandwidthStateName(v1::BandwidthState state);
// NOT_KNOWN for what is no such name.
v1::BandwidthState ParseBandwidthState(const std::string& name);
std::optional<v1::PathState> ParsePathState(const std::string& name);
// "ethernet", "infiniband".
std::string FabricName(v1::FabricKind fabric);
v1::FabricKind ParseFabric(const std::string& name);  // UNKNOWN when the name says nothing to us
// "user", "kernel", "nic"; empty when unspecified.
std::string TimestampSourceName(v1::TimestampSource source);

// One line of text. Bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::ordered_json& value);

// {"result":true,"msg":message,"data":{"result":result}}: what an answer looks like, here and on Ray's dashboard.
std::string EnvelopeJson(nlohmann::ordered_json result, const std::string& message);

// A document of schema_version 1 by the node `node_id`: an object whose own node_id says the same. InvalidArgument
// otherwise, with the reason; also for more than `max_bytes`.
absl::StatusOr<nlohmann::ordered_json> ParseDocument(const std::string& text, const std::string& node_id,
                                                     size_t max_bytes);

// Fields of documents that somebody else wrote: absent, of another type or out of all reason = nothing.
std::optional<double> NumberAt(const nlohmann::ordered_json& object, const char* key);       // finite, not negative
std::optional<int64_t> IntegerAt(const nlohmann::ordered_json& object, const char* key);     // 0 to 2^53
std::optional<std::string> StringAt(const nlohmann::ordered_json& object, const char* key);  // cut after 1 KiB

}  // namespace netsense
