#include "raylet_bridge/serve/file_sd.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/host_port.h"
#include "base/logging.h"
#include "base/replace_file.h"
#include "base/unique_fd.h"
#include "raylet_bridge/identity/node_identity.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

// Ray's own is prom_metrics_service_discovery.json, and written anew every few seconds.
constexpr char kName[] = "prom_metrics_service_discovery_netsense.json";
constexpr mode_t kReadableByAll = 0644;  // Prometheus is another user; nothing secret is in it

}  // namespace

std::string FileSdPath(const std::string& session_dir) {
  if (session_dir.empty()) return "";
  return std::filesystem::path(session_dir).parent_path() / kName;
}

std::string FileSdJson(const ClusterView& view, const std::string& cluster) {
  nlohmann::ordered_json targets = nlohmann::ordered_json::array();
  for (const ClusterNode& node : view.nodes) {
    auto door = view.doors.find(node.node_id);
    if (door == view.doors.end() || !door->second.ok()) continue;
    const auto http = ParseHostPort(door->second->http, "http");
    if (!http.ok() || http->port == 0) continue;
    targets.push_back({{"targets", {FormatHostPort(node.address, http->port)}},
                       {"labels",
                        {{"job", "ray_network_sense"},
                         {"cluster", cluster},
                         {"node_id", node.node_id},
                         {"hostname", node.hostname},
                         {"head", node.is_head ? "true" : "false"}}}});
  }
  return DumpJson(targets) + "\n";
}

FileSd::~FileSd() {
  if (OursIsThere()) unlink(path_.c_str());
}

// Never opens what lies there: others may write to that folder, and a FIFO would hold us.
bool FileSd::OursIsThere() const {
  struct stat ours {
  }, there{};
  return file_ && fstat(file_.get(), &ours) == 0 && lstat(path_.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino;
}

void FileSd::Update(const ClusterView& view) {
  std::string json = FileSdJson(view, cluster_);
  if (json == written_ && OursIsThere()) return;
  auto file = ReplaceFile(path_, json, kReadableByAll);
  if (file.ok()) {
    file_ = *std::move(file);
    written_ = std::move(json);
    failing_ = false;
  } else if (!std::exchange(failing_, true)) {
    spdlog::warn("{}: Prometheus will not find this cluster's bridges", std::string(file.status().message()));
  }
}

}  // namespace netsense
