// The keys of the KV namespace `network_sense`, and the form of a node id.
#pragma once

#include <algorithm>
#include <string>

namespace netsense {

inline constexpr char kReportKeyPrefix[] = "edge_samples:";
inline constexpr char kDoorKeyPrefix[] = "door:";
inline constexpr char kInventoryKeyPrefix[] = "inventory:";
inline constexpr char kConfigKey[] = "config";
inline constexpr char kHttpApiKey[] = "http_api";
inline constexpr char kRosterKey[] = "roster";  // node_roster.h
inline constexpr char kForgetKey[] = "forget";  // node ids that the head is to forget, a JSON list

inline std::string ReportKey(const std::string& node_id) { return kReportKeyPrefix + node_id; }
inline std::string DoorKey(const std::string& node_id) { return kDoorKeyPrefix + node_id; }
inline std::string InventoryKey(const std::string& node_id) { return kInventoryKeyPrefix + node_id; }

// 56 lower-case hex digits.
inline bool IsNodeId(const std::string& text) {
  auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 56 && std::all_of(text.begin(), text.end(), hex);
}

}  // namespace netsense
