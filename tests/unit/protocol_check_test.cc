#include "raylet_bridge/cluster/protocol_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace netsense {
namespace {

std::vector<std::string> WarningsOf(const std::vector<uint32_t>& protocols) {
  std::deque<DoorRecord> doors;
  std::vector<NodeRails> nodes;
  for (uint32_t protocol : protocols) {
    doors.emplace_back().protocol = protocol;
    nodes.push_back({"n" + std::to_string(nodes.size()), &doors.back()});
  }
  return ProtocolWarnings(nodes);
}

TEST(ProtocolCheck, SaysNothingWhereAllSpeakTheSame) {
  EXPECT_TRUE(WarningsOf({}).empty());
  EXPECT_TRUE(WarningsOf({1, 1, 1}).empty());
  EXPECT_TRUE(WarningsOf({2, 2}).empty());
}

TEST(ProtocolCheck, NamesTheOlderOnes) {
  using testing::AllOf, testing::ElementsAre, testing::HasSubstr;
  EXPECT_THAT(WarningsOf({2, 1, 2, 1}),
              ElementsAre(AllOf(HasSubstr("2 of 4 nodes run an older release (n1, n3)"), HasSubstr("upgrade"))));
  EXPECT_THAT(WarningsOf({1, 1, 1, 1, 1, 1, 1, 3}),
              ElementsAre(HasSubstr("7 of 8 nodes run an older release (n0, n1, n2, n3, n4 and 2 more)")));
}

}  // namespace
}  // namespace netsense
