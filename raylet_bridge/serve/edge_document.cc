#include "raylet_bridge/serve/edge_document.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "proto/enum_names.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

// As short as a float can be told: as a double it would bring nine more digits.
Json OrNull(const std::optional<float>& value) {
  return value ? Json(std::strtod(fmt::format("{}", *value).c_str(), nullptr)) : Json(nullptr);
}

Json LineToJson(const EdgeHistory::Line& line) {
  Json points = Json::array();
  for (const EdgeHistory::Point& point : line.points)
    points.push_back({point.ts_ms, OrNull(point.rtt_p50_ms), OrNull(point.bw_p50_mbps), PathStateName(point.state)});
  Json object = {{"transport", line.layer.transport}, {"fabric", line.layer.fabric}, {"rail", nullptr}};
  if (line.layer.rail) object["rail"] = *line.layer.rail;
  object["step_ms"] = line.step_ms;
  object["points"] = std::move(points);
  return object;
}

}  // namespace

std::string EdgeDocument(const std::vector<TopologyEdge>& edges, const std::vector<EdgeHistory::Line>& history,
                         int64_t generated_at_ms, const std::string& message) {
  Json list = Json::array(), lines = Json::array();
  for (const TopologyEdge& edge : edges) list.push_back(TopologyEdgeToJson(edge));
  for (const EdgeHistory::Line& line : history) lines.push_back(LineToJson(line));
  return EnvelopeJson({{"generated_at_ms", generated_at_ms}, {"edges", std::move(list)}, {"history", std::move(lines)}},
                      message);
}

}  // namespace netsense
