// netsense-bridge forget: asks the head's bridge, which keeps the roster, and waits until it has done it.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <stop_token>

#include "base/clock.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "raylet_bridge/cli/commands.h"
#include "raylet_bridge/cluster/node_roster.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFewestDigits = 8;
constexpr std::chrono::milliseconds kLookAgain{100};

absl::StatusOr<std::vector<LostNode>> ReadLost(GcsClient& gcs) {
  ASSIGN_OR_RETURN(auto text, gcs.Get(kRosterKey));
  NodeRoster roster;
  if (text.has_value()) RETURN_IF_ERROR(roster.Load(*text, EpochMillis(), MonotonicNow()));
  return roster.lost();
}

bool IsCalled(const ClusterNode& node, const std::string& name) {
  return node.hostname == name || node.address == name ||
         (name.size() >= kFewestDigits && node.node_id.starts_with(name));
}

absl::StatusOr<std::string> Choose(const std::vector<LostNode>& lost, const std::string& name) {
  std::vector<std::string> ids;
  std::string list;
  for (const LostNode& each : lost) {
    if (IsCalled(each.node, name)) ids.push_back(each.node.node_id);
    list +=
        fmt::format("\n  {}  {}  {}", each.node.node_id, Printable(each.node.address), Printable(each.node.hostname));
  }
  if (ids.size() == 1) return ids[0];
  if (lost.empty()) return absl::InvalidArgumentError("no node is lost, so there is none to forget");
  return absl::InvalidArgumentError(fmt::format("{} lost nodes are called '{}': name one by its id. Lost are:{}",
                                                ids.empty() ? "no" : "several", Printable(name), list));
}

// Beside what others have asked for, and the head has not done yet.
absl::Status Ask(GcsClient& gcs, const std::string& node_id) {
  ASSIGN_OR_RETURN(auto before, gcs.Get(kForgetKey));
  Json ids = ParseJson(before.value_or("[]"));
  if (!ids.is_array()) ids = Json::array();
  ids.push_back(node_id);
  return gcs.Put(kForgetKey, DumpJson(ids));
}

absl::Status Forget(GcsClient& gcs, const std::string& name) {
  auto lost = ReadLost(gcs);
  if (!lost.ok()) return lost.status();
  ASSIGN_OR_RETURN(auto node_id, Choose(*lost, name));
  RETURN_IF_ERROR(Ask(gcs, node_id));
  for (const MonotonicTime end = MonotonicNow() + deadlines::kForget(); MonotonicNow() < end;) {
    (void)SleepUnlessStopped({}, kLookAgain);
    lost = ReadLost(gcs);
    if (!lost.ok()) return lost.status();
    if (!Choose(*lost, node_id).ok()) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      "the head's bridge has not done it yet: does netsense-bridge run there? It will, once it does");
}

}  // namespace

int ForgetNode(const GcsAccess& access, const std::string& name) {
  auto gcs = OpenGcs(access);
  if (!gcs.ok()) return FailCommand(gcs.status());
  auto forgotten = Forget(**gcs, name);
  return forgotten.ok() ? 0 : FailCommand(forgotten);
}

}  // namespace netsense
