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

namespace netsense {

// A document serves for kMaxAge from when it was begun: its ages are of that time. One is made at a time, while other
// readers wait. Holds kMaxDocuments; a reader keeps alive what it was given. Thread-safe.
class DocumentCache {
 public:
  static constexpr std::chrono::milliseconds kMaxAge{1000};
  static constexpr size_t kMaxDocuments = 4;
  using Document = std::shared_ptr<const std::string>;

  // The document `name`, for a reader who asked at `asked`; an error is not kept.
  absl::StatusOr<Document> Get(const std::string& name, MonotonicTime asked,
                               const std::function<absl::StatusOr<std::string>()>& make);

 private:
  struct Entry {
    std::string name;
    MonotonicTime begun;
    Document document;
  };

  std::mutex mutex_;
  std::vector<Entry> entries_;  // the oldest first
};

}  // namespace netsense
