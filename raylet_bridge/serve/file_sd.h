// Tells Prometheus where the cluster's bridges are: a file as its file_sd_configs reads them.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "raylet_bridge/cluster/topology.h"

namespace netsense {

// Where the file is looked for beside Ray's own; empty when `session_dir` is. `session_dir`: of the raylet.
std::string FileSdPath(const std::string& session_dir);

// Every alive node whose bridge serves HTTP, with the labels job, cluster, node_id, hostname and head. Prometheus
// sends the cluster's token to each target, so the address is the node's as the GCS says, whatever its record says;
// only the port is the record's.
std::string FileSdJson(const ClusterView& view, const std::string& cluster);

// Not thread-safe.
class FileSd {
 public:
  FileSd(std::string path, std::string cluster) : path_(std::move(path)), cluster_(std::move(cluster)) {}
  // Removes the file, unless somebody else has put another there since.
  ~FileSd();
  FileSd(const FileSd&) = delete;
  FileSd& operator=(const FileSd&) = delete;

  // Replaces the file at once, and only when the nodes are others, or ours is not there. A failure is logged, once in
  // a row.
  void Update(const ClusterView& view);

 private:
  bool OursIsThere() const;

  const std::string path_, cluster_;
  std::string written_;
  UniqueFd file_;  // kept open: no other file can get its inode number
  bool failing_ = false;
};

}  // namespace netsense
