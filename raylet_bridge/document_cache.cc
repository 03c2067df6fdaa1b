#include "raylet_bridge/document_cache.h"

#include <algorithm>
#include <utility>

namespace netsense {

absl::StatusOr<DocumentCache::Document> DocumentCache::Get(const std::string& name,
                                                           const std::shared_ptr<const ClusterView>& view,
                                                           MonotonicTime now,
                                                           const std::function<absl::StatusOr<std::string>()>& make) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) {
    const bool same_view = !entry.view.owner_before(view) && !view.owner_before(entry.view);
    return !same_view || now - entry.made >= kMaxAge;
  });
  for (const Entry& entry : entries_)
    if (entry.name == name) return entry.document;
  auto made = make();
  if (!made.ok()) return made.status();
  if (entries_.size() == kMaxDocuments) entries_.erase(entries_.begin());
  entries_.push_back({name, view, now, std::make_shared<const std::string>(*std::move(made))});
  return entries_.back().document;
}

}  // namespace netsense
