// Documents that several readers ask for at the same time are made once, and shared.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "raylet_bridge/topology.h"

namespace netsense {

// A document serves until the cluster's view is another one, but for kMaxAge at most: its ages are of the time when it
// was made. One is made at a time, while other readers wait. Holds kMaxDocuments; a reader keeps alive what it was
// given. Thread-safe.
class DocumentCache {
 public:
  static constexpr std::chrono::milliseconds kMaxAge{1000};
  static constexpr size_t kMaxDocuments = 4;
  using Document = std::shared_ptr<const std::string>;

  // The document `name` of `view`; an error is not kept.
  absl::StatusOr<Document> Get(const std::string& name, const std::shared_ptr<const ClusterView>& view,
                               MonotonicTime now, const std::function<absl::StatusOr<std::string>()>& make);

 private:
  struct Entry {
    std::string name;
    std::weak_ptr<const ClusterView> view;
    MonotonicTime made;
    Document document;
  };

  std::mutex mutex_;
  std::vector<Entry> entries_;  // the oldest first
};

}  // namespace netsense
