#include "engine/named_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netsense {
namespace {

using testing::HasSubstr;

v1::PlannedPath PathTo(const std::string& address, const std::string& node_address = "10.0.0.2") {
  v1::PlannedPath path;
  path.set_dst_node_id("peer");
  path.set_dst_address(address);
  path.set_node_address(node_address);
  return path;
}

v1::SessionReply::Grant GrantOf(std::vector<std::string> addresses) {
  v1::SessionReply::Grant grant;
  grant.set_software_version("1.2.3");
  grant.mutable_addresses()->Assign(addresses.begin(), addresses.end());
  return grant;
}

TEST(NamedAddresses, TheNodesOwnNeedsNoName) {
  NamedAddresses named;
  EXPECT_TRUE(named.Check(PathTo("10.0.0.2")).ok());
  EXPECT_TRUE(named.Check(PathTo("10.0.0.2", "")).ok()) << "a plan that says no other";
}

TEST(NamedAddresses, WhatANodeSaysAtItsOwnCounts) {
  NamedAddresses named;
  EXPECT_TRUE(absl::IsInternal(named.Check(PathTo("10.8.0.2"))));
  named.Learn(PathTo("10.0.0.2"), GrantOf({"10.0.0.2", "10.8.0.2"}));
  EXPECT_TRUE(named.Check(PathTo("10.8.0.2")).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(named.Check(PathTo("10.9.0.9"))));
  named.Learn(PathTo("10.0.0.2"), GrantOf({"10.0.0.2"}));
  EXPECT_TRUE(absl::IsPermissionDenied(named.Check(PathTo("10.8.0.2")))) << "its engine was started anew, say";
}

// What answers at an address that is in question must not vouch for itself.
TEST(NamedAddresses, WhatIsSaidElsewhereDoesNot) {
  NamedAddresses named;
  named.Learn(PathTo("10.9.0.9"), GrantOf({"10.9.0.9"}));
  EXPECT_TRUE(absl::IsInternal(named.Check(PathTo("10.9.0.9"))));
}

TEST(NamedAddresses, AnOlderReleaseIsNamed) {
  NamedAddresses named;
  named.Learn(PathTo("10.0.0.2"), GrantOf({}));
  const absl::Status older = named.Check(PathTo("10.8.0.2"));
  EXPECT_TRUE(absl::IsInternal(older)) << older;
  EXPECT_THAT(std::string(older.message()), HasSubstr("its release (1.2.3) does not say: upgrade it"));
}

TEST(NamedAddresses, NodesThatLeftThePlanAreForgotten) {
  NamedAddresses named;
  named.Learn(PathTo("10.0.0.2"), GrantOf({"10.8.0.2"}));
  v1::Plan plan;
  *plan.add_paths() = PathTo("10.8.0.2");
  named.Keep(plan);
  EXPECT_TRUE(named.Check(PathTo("10.8.0.2")).ok());
  named.Keep({});
  EXPECT_FALSE(named.Check(PathTo("10.8.0.2")).ok());
}

}  // namespace
}  // namespace netsense
