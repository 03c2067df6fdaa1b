#include "engine/named_addresses.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/logging.h"

namespace netsense {
namespace {

bool IsOwn(const v1::PlannedPath& path) {
  return path.node_address().empty() || path.node_address() == path.dst_address();
}

}  // namespace

void NamedAddresses::Learn(const v1::PlannedPath& path, const v1::SessionReply::Grant& grant) {
  if (!IsOwn(path)) return;
  nodes_[path.dst_node_id()] = {{grant.addresses().begin(), grant.addresses().end()}, grant.software_version()};
}

absl::Status NamedAddresses::Check(const v1::PlannedPath& path) const {
  if (IsOwn(path)) return absl::OkStatus();
  const std::string address = Printable(path.dst_address());
  const auto node = nodes_.find(path.dst_node_id());
  if (node == nodes_.end())
    return absl::InternalError(absl::StrCat("not dialled yet: whether ", address, " is this node's, it says at ",
                                            Printable(path.node_address()), " alone, which has not answered"));
  const Named& named = node->second;
  if (named.addresses.empty())
    return absl::InternalError(absl::StrCat("not dialled: whether ", address, " is this node's, its release (",
                                            Printable(named.version), ") does not say: upgrade it"));
  if (std::find(named.addresses.begin(), named.addresses.end(), path.dst_address()) != named.addresses.end())
    return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("not dialled: the door record of this node names ", address, ", which the node itself does not"));
}

void NamedAddresses::Keep(const v1::Plan& plan) {
  std::set<std::string_view> planned;
  for (const v1::PlannedPath& path : plan.paths()) planned.insert(path.dst_node_id());
  std::erase_if(nodes_, [&planned](const auto& node) { return !planned.contains(node.first); });
}

}  // namespace netsense
