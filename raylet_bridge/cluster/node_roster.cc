#include "raylet_bridge/cluster/node_roster.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/host_port.h"
#include "base/status_macros.h"
#include "raylet_bridge/identity/node_identity.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

Json NodeToJson(const ClusterNode& node) {
  Json object = {{"node_id", node.node_id}, {"address", node.address}, {"hostname", node.hostname}};
  if (!node.group.empty()) object["group"] = node.group;
  if (node.is_head) object["is_head"] = true;
  return object;
}

// The node id is empty where there is none.
ClusterNode ParseNode(const Json& object) {
  ClusterNode node;
  if (!object.is_object()) return node;
  node.node_id = StringAt(object, "node_id").value_or("");
  if (!IsNodeId(node.node_id)) node.node_id.clear();
  node.address = StringAt(object, "address").value_or("");
  node.hostname = StringAt(object, "hostname").value_or("");
  node.group = StringAt(object, "group").value_or("");
  node.is_head = object.value("is_head", Json()) == true;
  return node;
}

const Json& ListAt(const Json& object, const char* key) {
  static const Json kNone = Json::array();
  auto found = object.find(key);
  return found == object.end() || !found->is_array() ? kNone : *found;
}

using InPlaceOf = bool (*)(const ClusterNode& now, const ClusterNode& before);

// From the surest to the least sure. Where a pod that comes back has a new name and a new address, the count of its
// group says that it is back.
constexpr InPlaceOf kInPlaceOf[] = {
    [](const ClusterNode& a, const ClusterNode& b) { return a.address == b.address && a.hostname == b.hostname; },
    [](const ClusterNode& a, const ClusterNode& b) { return a.address == b.address; },
    [](const ClusterNode& a, const ClusterNode& b) { return !a.hostname.empty() && a.hostname == b.hostname; },
    [](const ClusterNode& a, const ClusterNode& b) { return !a.group.empty() && a.group == b.group; },
};

}  // namespace

absl::Status NodeRoster::Load(const std::string& text, int64_t now_epoch_ms, MonotonicTime now) {
  const Json document = ParseJson(text);
  if (!document.is_object() || document.value("schema_version", Json()) != 1)
    return absl::InvalidArgumentError("the list of the cluster's nodes can't be read");
  known_.clear();
  lost_.clear();
  text_.clear();
  for (const Json& each : ListAt(document, "nodes"))
    if (ClusterNode node = ParseNode(each); !node.node_id.empty() && known_.size() < kMostKept)
      known_.emplace(node.node_id, Known{node, MonotonicTime::min()});
  for (const Json& each : ListAt(document, "lost")) {
    LostNode lost{ParseNode(each), "", 0, now};
    if (lost.node.node_id.empty() || lost_.size() >= kMostLost) continue;
    lost.reason = StringAt(each, "reason").value_or("");
    lost.since_ms = IntegerAt(each, "since_ms").value_or(now_epoch_ms);
    // Between two lives of a bridge only the wall clock goes on.
    lost.since = now - std::chrono::milliseconds(std::clamp<int64_t>(
                           now_epoch_ms - lost.since_ms, 0, std::chrono::milliseconds(2 * kForgetAfter).count()));
    lost_.push_back(std::move(lost));
  }
  return absl::OkStatus();
}

const std::string& NodeRoster::Text() const {
  if (!text_.empty()) return text_;
  Json nodes = Json::array(), lost = Json::array();
  for (const auto& [id, known] : known_)
    if (nodes.size() < kMostKept) nodes.push_back(NodeToJson(known.node));
  for (const LostNode& each : lost_) {
    Json object = NodeToJson(each.node);
    object["since_ms"] = each.since_ms;
    object["reason"] = each.reason;
    lost.push_back(std::move(object));
  }
  text_ = DumpJson({{"schema_version", 1}, {"lost", std::move(lost)}, {"nodes", std::move(nodes)}});
  return text_;
}

absl::Status NodeRoster::Update(const std::vector<ClusterNode>& alive,
                                const std::function<absl::StatusOr<std::vector<ClusterNode>>()>& all,
                                int64_t now_epoch_ms, MonotonicTime now) {
  std::set<std::string> now_alive;
  for (const ClusterNode& node : alive) now_alive.insert(node.node_id);
  std::vector<Known> gone;
  for (const auto& [id, known] : known_)
    if (!now_alive.contains(id)) gone.push_back(known);
  std::map<std::string, ClusterNode> ends;
  if (!gone.empty()) {
    ASSIGN_OR_RETURN(auto told, all());
    for (ClusterNode& node : told) ends.emplace(node.node_id, std::move(node));
  }

  std::set<std::string> back;  // under their own id: these take nobody's place
  for (const LostNode& each : lost_)
    if (now_alive.contains(each.node.node_id)) back.insert(each.node.node_id);
  size_t changes = std::erase_if(lost_, [&](const LostNode& each) {
    return now_alive.contains(each.node.node_id) || now - each.since > kForgetAfter;
  });
  std::vector<std::string> newcomers;
  for (const ClusterNode& node : alive)
    if (known_.try_emplace(node.node_id, Known{node, now}).second && !back.contains(node.node_id))
      newcomers.push_back(node.node_id);
  for (const Known& each : gone) {
    const auto end = ends.find(each.node.node_id);
    if (end != ends.end() && end->second.alive) continue;  // it came back between the two answers
    known_.erase(each.node.node_id);
    ++changes;
    Note(each, end == ends.end() ? nullptr : &end->second, now_epoch_ms, now);
  }
  if (changes + newcomers.size() > 0 || !back.empty()) text_.clear();
  FillPlaces(newcomers);
  return absl::OkStatus();
}

void NodeRoster::Note(const Known& gone, const ClusterNode* end, int64_t now_epoch_ms, MonotonicTime now) {
  if ((end != nullptr && end->left_in_order) || TakeSuccessor(gone, now)) return;
  LostNode lost{gone.node, "it is no longer there, and the GCS does not say how it ended", now_epoch_ms, now};
  if (gone.joined == MonotonicTime::min())
    lost.reason = "it was there before the head's bridge started anew, and has not come back";
  lost.node.alive = false;
  if (end != nullptr && !end->end_reason.empty()) lost.reason = end->end_reason.substr(0, 512);
  if (lost_.size() >= kMostLost) lost_.erase(lost_.begin());
  lost_.push_back(std::move(lost));
}

// A host that was started anew can be back before the GCS notices that it was gone. Several nodes of one host, on
// loopback, share their name and address by design.
bool NodeRoster::TakeSuccessor(const Known& gone, MonotonicTime now) {
  if (IsLoopback(gone.node.address)) return false;
  auto successor = std::find_if(known_.begin(), known_.end(), [&](const auto& entry) {
    const Known& other = entry.second;
    return !other.in_place_of_another && other.joined > gone.joined && now - other.joined <= kSuccessorWithin &&
           other.node.address == gone.node.address && other.node.hostname == gone.node.hostname;
  });
  if (successor == known_.end()) return false;
  successor->second.in_place_of_another = true;
  return true;
}

void NodeRoster::FillPlaces(const std::vector<std::string>& newcomers) {
  for (InPlaceOf in_place_of : kInPlaceOf)
    for (const std::string& id : newcomers) {
      Known& newcomer = known_.at(id);
      if (newcomer.in_place_of_another) continue;
      auto place = std::find_if(lost_.begin(), lost_.end(),
                                [&](const LostNode& lost) { return in_place_of(newcomer.node, lost.node); });
      if (place == lost_.end()) continue;
      lost_.erase(place);
      newcomer.in_place_of_another = true;
    }
}

bool NodeRoster::Forget(const std::string& node_id) {
  const bool found = std::erase_if(lost_, [&](const LostNode& lost) { return lost.node.node_id == node_id; }) > 0;
  if (found) text_.clear();
  return found;
}

}  // namespace netsense
