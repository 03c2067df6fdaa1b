// How netsense's JSON documents are written, and how single fields of those that other hosts wrote are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

// One line of text. Bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::ordered_json& value);

// {"result":true,"msg":message,"data":{"result":result}}: what an answer looks like, here and on Ray's dashboard.
std::string EnvelopeJson(nlohmann::ordered_json result, const std::string& message);

// What somebody else wrote: what is no JSON, or nested too deeply to be copied and written, is_discarded().
nlohmann::ordered_json ParseJson(const std::string& text);

// A document of schema_version 1 by the node `node_id`: an object whose own node_id says the same. InvalidArgument
// otherwise, with the reason; also for more than `max_bytes`.
absl::StatusOr<nlohmann::ordered_json> ParseDocument(const std::string& text, const std::string& node_id,
                                                     size_t max_bytes);

// Fields of documents that somebody else wrote: absent, of another type or out of all reason = nothing.
std::optional<double> NumberAt(const nlohmann::ordered_json& object, const char* key);       // 0 to 10^18
std::optional<int64_t> IntegerAt(const nlohmann::ordered_json& object, const char* key);     // 0 to 2^53
std::optional<std::string> StringAt(const nlohmann::ordered_json& object, const char* key);  // cut after 1 KiB

}  // namespace netsense
