#include "raylet_bridge/file_sd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/logging.h"
#include "base/unique_fd.h"
#include "raylet_bridge/json_fields.h"
#include "raylet_bridge/node_identity.h"

namespace netsense {
namespace {

// Ray's own is prom_metrics_service_discovery.json, and written anew every few seconds.
constexpr char kName[] = "prom_metrics_service_discovery_netsense.json";
constexpr mode_t kReadableByAll = 0644;  // Prometheus is another user; nothing secret is in it

absl::Status ReplaceFile(const std::string& path, const std::string& content) {
  const auto failed = [&path](const char* what) {
    return absl::UnavailableError(fmt::format("cannot {} {}: {}", what, path, strerror(errno)));
  };
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return failed("write beside");
  const bool written = write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
                       fchmod(fd.get(), kReadableByAll) == 0;
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  auto status = failed("replace");
  unlink(temporary.c_str());
  return status;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string FileSdPath(const std::string& session_dir) {
  if (session_dir.empty()) return "";
  return std::filesystem::path(session_dir).parent_path() / kName;
}

std::string FileSdJson(const ClusterView& view) {
  nlohmann::ordered_json targets = nlohmann::ordered_json::array();
  for (const ClusterNode& node : view.nodes) {
    auto door = view.doors.find(node.node_id);
    if (door == view.doors.end() || !door->second.ok() || !SplitHostPort(door->second->http, "http").ok()) continue;
    targets.push_back({{"targets", {door->second->http}},
                       {"labels",
                        {{"job", "ray_network_sense"},
                         {"node_id", node.node_id},
                         {"hostname", node.hostname},
                         {"head", node.is_head ? "true" : "false"}}}});
  }
  return DumpJson(targets) + "\n";
}

FileSd::~FileSd() {
  if (!written_.empty() && ReadFile(path_) == written_) unlink(path_.c_str());
}

void FileSd::Update(const ClusterView& view) {
  std::string json = FileSdJson(view);
  if (json == written_ && access(path_.c_str(), F_OK) == 0) return;
  auto status = ReplaceFile(path_, json);
  if (status.ok()) {
    written_ = std::move(json);
    failing_ = false;
  } else if (!std::exchange(failing_, true)) {
    spdlog::warn("{}: Prometheus will not find this cluster's bridges", std::string(status.message()));
  }
}

}  // namespace netsense
