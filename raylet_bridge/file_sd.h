// Tells Prometheus where the cluster's bridges are: a file as its file_sd_configs reads them.
#pragma once

#include <string>

#include "raylet_bridge/topology.h"

namespace netsense {

// Where the file is looked for beside Ray's own; empty when `session_dir` is. `session_dir`: of the raylet.
std::string FileSdPath(const std::string& session_dir);

// Every alive node whose bridge serves HTTP, with the labels job, node_id, hostname and head.
std::string FileSdJson(const ClusterView& view);

// Not thread-safe.
class FileSd {
 public:
  explicit FileSd(std::string path) : path_(std::move(path)) {}
  // Removes the file, unless somebody else has written it since.
  ~FileSd();
  FileSd(const FileSd&) = delete;
  FileSd& operator=(const FileSd&) = delete;

  // Replaces the file at once, and only when the nodes are others, or it is not there. A failure is logged, once in a
  // row.
  void Update(const ClusterView& view);

 private:
  const std::string path_;
  std::string written_;
  bool failing_ = false;
};

}  // namespace netsense
