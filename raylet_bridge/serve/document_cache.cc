#include "raylet_bridge/serve/document_cache.h"

#include <utility>

#include "base/status_macros.h"

namespace netsense {

absl::StatusOr<DocumentCache::Document> DocumentCache::Get(const std::string& name, MonotonicTime asked,
                                                           const std::function<absl::StatusOr<std::string>()>& make) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [asked](const Entry& entry) { return asked - entry.begun >= kMaxAge; });
  for (const Entry& entry : entries_)
    if (entry.name == name) return entry.document;
  const MonotonicTime begun = MonotonicNow();
  ASSIGN_OR_RETURN(auto made, make());
  if (entries_.size() == kMaxDocuments) entries_.erase(entries_.begin());
  entries_.push_back({name, begun, std::make_shared<const std::string>(std::move(made))});
  return entries_.back().document;
}

}  // namespace netsense
