#include "tests/fuzz/matrix_reader.h"

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

using Json = nlohmann::json;

template <typename T>
T At(std::string_view document, size_t offset) {
  T value;
  MustHold(offset + sizeof(T) <= document.size(), "a matrix is whole");
  std::memcpy(&value, document.data() + offset, sizeof(T));
  return value;
}

void CheckLayer(std::string_view document, const Json& header, const Json& layer, size_t pairs) {
  std::map<std::string, size_t> offsets;
  for (const Json& column : layer.at("columns")) {
    const auto offset = column.at("offset").get<size_t>();
    MustHold(offset % 8 == 0, "a column begins at a multiple of 8");
    offsets[column.at("name").get<std::string>()] = offset;
  }
  if (offsets.empty()) return;  // not filled in
  constexpr uint8_t kNoEdge = 255;
  for (size_t i = 0; i < pairs; ++i) {
    const auto state = At<uint8_t>(document, offsets.at("state") + i);
    MustHold(state == kNoEdge || state < header.at("states").size(), "a state has a name");
    MustHold(At<uint16_t>(document, offsets.at("reason") + 2 * i) < header.at("reasons").size(), "a reason has words");
    const bool ok = state != kNoEdge && header.at("states")[state] == "OK";
    MustHold(ok || At<uint8_t>(document, offsets.at("slow") + i) == 0, "what is not OK is not slow");
    for (const char* name :
         {"rtt_p50_ms", "network_rtt_p50_ms", "jitter_ms", "bw_p50_mbps", "bw_percent", "rtt_age_ms", "bw_age_ms"}) {
      const auto value = At<float>(document, offsets.at(name) + 4 * i);
      const bool is_age = std::string_view(name).ends_with("age_ms");
      MustHold(!std::isinf(value), "no figure is infinite");
      MustHold(ok || is_age || std::isnan(value), "what is not OK has no figure");
    }
  }
}

}  // namespace

void CheckMatrixDocument(std::string_view document, size_t nodes) {
  MustHold(document.starts_with("NSM1"), "a matrix begins with its name");
  const auto length = At<uint32_t>(document, 4);
  const Json header = Json::parse(document.substr(8, length), nullptr, /*allow_exceptions=*/false);
  MustHold(header.is_object() && header.at("schema_version") == 1, "a matrix has a header");
  MustHold(header.at("nodes").size() == nodes, "a matrix has all nodes");
  for (const Json& layer : header.at("layers")) CheckLayer(document, header, layer, nodes * nodes);
}

}  // namespace netsense::fuzz
