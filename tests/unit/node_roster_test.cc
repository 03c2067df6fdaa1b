// Which nodes are lost, and until when.
#include "raylet_bridge/cluster/node_roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netsense {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kNow = 1'700'000'000'000;

std::string Id(char digit) { return std::string(56, digit); }

ClusterNode Alive(char digit, const std::string& address, const std::string& hostname, const std::string& group = "") {
  return {.node_id = Id(digit), .address = address, .hostname = hostname, .alive = true, .group = group};
}

ClusterNode Ended(ClusterNode node, bool in_order, const std::string& reason = "health check failed") {
  node.alive = false;
  node.left_in_order = in_order;
  node.end_reason = reason;
  return node;
}

class NodeRosterTest : public testing::Test {
 protected:
  // What the GCS says now: the alive, and all that it ever knew.
  void Tell(const std::vector<ClusterNode>& alive, const std::vector<ClusterNode>& ended = {},
            std::chrono::seconds later = 100s) {
    now_ += later;
    auto all = alive;
    all.insert(all.end(), ended.begin(), ended.end());
    auto told = roster_.Update(
        alive, [&]() -> absl::StatusOr<std::vector<ClusterNode>> { return ++asked_, all; },
        kNow + std::chrono::duration_cast<std::chrono::milliseconds>(now_ - start_).count(), now_);
    ASSERT_TRUE(told.ok()) << told;
  }

  std::vector<std::string> Lost() const {
    std::vector<std::string> addresses;
    for (const LostNode& lost : roster_.lost()) addresses.push_back(lost.node.address);
    return addresses;
  }

  const MonotonicTime start_ = MonotonicNow();
  MonotonicTime now_ = start_;
  int asked_ = 0;
  const ClusterNode one_ = Alive('1', "10.0.0.1", "one"), two_ = Alive('2', "10.0.0.2", "two");
  NodeRoster roster_;
};

using Strings = std::vector<std::string>;

TEST_F(NodeRosterTest, WhoEndsWithoutSayingSoIsLost) {
  Tell({one_, two_});
  Tell({one_, two_});
  EXPECT_EQ(asked_, 0) << "the dead are asked for only when somebody is missing";
  Tell({one_}, {Ended(two_, false)});
  ASSERT_EQ(Lost(), Strings{"10.0.0.2"});
  const LostNode& lost = roster_.lost()[0];
  EXPECT_EQ(lost.node.node_id, Id('2'));
  EXPECT_EQ(lost.node.hostname, "two");
  EXPECT_EQ(lost.reason, "health check failed");
  EXPECT_EQ(lost.since_ms, kNow + 300'000);
  Tell({one_}, {Ended(two_, false)});
  EXPECT_EQ(roster_.lost()[0].since_ms, kNow + 300'000) << "since then, and not anew each time";
  EXPECT_EQ(asked_, 1);
}

TEST_F(NodeRosterTest, WhoLeavesInOrderIsNot) {
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, true, "received SIGTERM")});
  EXPECT_THAT(Lost(), IsEmpty());
}

TEST_F(NodeRosterTest, AGcsThatNoLongerListsANodeSaysNothingGoodOfIt) {
  Tell({one_, two_});
  Tell({one_});
  ASSERT_EQ(Lost(), Strings{"10.0.0.2"});
  EXPECT_THAT(roster_.lost()[0].reason, HasSubstr("does not say how it ended"));
}

TEST_F(NodeRosterTest, AGcsThatDoesNotAnswerChangesNothing) {
  Tell({one_, two_});
  const std::string before = roster_.Text();
  auto told = roster_.Update(
      {one_}, [] { return absl::UnavailableError("gone"); }, kNow, now_);
  EXPECT_EQ(told.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(roster_.Text(), before);
  Tell({one_}, {Ended(two_, false)});
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"});
}

TEST_F(NodeRosterTest, WhoComesBackIsLostNoMore) {
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, false)});
  Tell({one_, two_});
  EXPECT_THAT(Lost(), IsEmpty());
  // Between the two answers of the GCS: never gone.
  now_ += 100s;
  auto told = roster_.Update(
      {one_},
      [&] {
        return std::vector{one_, two_};
      },
      kNow, now_);
  EXPECT_TRUE(told.ok() && Lost().empty());
  Tell({one_}, {Ended(two_, false)});
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"});
}

TEST_F(NodeRosterTest, ANewNodeOfItsNameOrAddressTakesItsPlace) {
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, false)});
  Tell({one_, Alive('3', "10.0.0.3", "three")});
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"}) << "another one does not";
  Tell({one_, Alive('3', "10.0.0.3", "three"), Alive('4', "10.0.0.4", "two")});
  EXPECT_THAT(Lost(), IsEmpty());
  Tell({one_}, {Ended(Alive('3', "10.0.0.3", "three"), false), Ended(Alive('4', "10.0.0.4", "two"), false)});
  EXPECT_EQ(Lost(), (Strings{"10.0.0.3", "10.0.0.4"}));
  Tell({one_, Alive('5', "10.0.0.4", "other")});
  EXPECT_EQ(Lost(), Strings{"10.0.0.3"});
}

TEST_F(NodeRosterTest, OneNewNodeTakesOnePlace) {
  const auto third = Alive('3', "10.0.0.3", "same"), fourth = Alive('4', "10.0.0.4", "same");
  Tell({one_, third, fourth});
  Tell({one_}, {Ended(third, false), Ended(fourth, false)});
  Tell({one_, Alive('5', "10.0.0.4", "same")});
  EXPECT_EQ(Lost(), Strings{"10.0.0.3"}) << "the one of its address first";
  // Who was there all the time takes no place: only the name is the same.
  Tell({one_, Alive('5', "10.0.0.4", "same")});
  EXPECT_EQ(Lost(), Strings{"10.0.0.3"});
}

TEST_F(NodeRosterTest, WhoComesBackTakesNobodysPlace) {
  const auto third = Alive('3', "10.0.0.3", "same"), fourth = Alive('4', "10.0.0.4", "same");
  Tell({one_, third, fourth});
  Tell({one_}, {Ended(third, false), Ended(fourth, false)});
  Tell({one_, fourth});
  EXPECT_EQ(Lost(), Strings{"10.0.0.3"});
}

TEST_F(NodeRosterTest, APodComesBackUnderANewNameAndAddress) {
  const auto left = Alive('3', "10.1.0.3", "workers-aaaaa", "workers"),
             right = Alive('4', "10.1.0.4", "workers-bbbbb", "workers");
  Tell({one_, left, right});
  Tell({one_, left}, {Ended(right, false)});
  Tell({one_, left, Alive('5', "10.1.0.9", "gpus-ccccc", "gpus")});
  EXPECT_EQ(Lost(), Strings{"10.1.0.4"}) << "another group";
  Tell({one_, left, Alive('5', "10.1.0.9", "gpus-ccccc", "gpus"), Alive('6', "10.1.0.7", "workers-ddddd", "workers")});
  EXPECT_THAT(Lost(), IsEmpty()) << "the group is as many as it was";
}

TEST_F(NodeRosterTest, AHostCanBeBackBeforeTheGcsKnowsThatItWasGone) {
  const auto again = Alive('9', "10.0.0.2", "two");
  Tell({one_, two_});
  Tell({one_, two_, again});
  Tell({one_, again}, {Ended(two_, false)}, 20s);
  EXPECT_THAT(Lost(), IsEmpty());
  // Long after, it is another node's end.
  const auto third = Alive('3', "10.0.0.2", "two");
  Tell({one_, again, third});
  Tell({one_, third}, {Ended(again, false)}, 70s);
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"});
}

TEST_F(NodeRosterTest, NodesOfOneHostOnLoopbackDoNotStandForEachOther) {
  const auto left = Alive('3', "127.0.0.1", "vm"), right = Alive('4', "127.0.0.1", "vm");
  Tell({left});
  Tell({left, right});
  Tell({right}, {Ended(left, false)}, 5s);
  EXPECT_EQ(Lost(), Strings{"127.0.0.1"});
}

TEST_F(NodeRosterTest, EndsAfterAWeekAndWhenItIsForgotten) {
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, false)});
  Tell({one_}, {}, std::chrono::seconds(NodeRoster::kForgetAfter) - 1s);
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"});
  Tell({one_}, {}, 2s);
  EXPECT_THAT(Lost(), IsEmpty());
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, false)});
  EXPECT_FALSE(roster_.Forget(Id('1')));
  EXPECT_TRUE(roster_.Forget(Id('2')));
  EXPECT_THAT(Lost(), IsEmpty());
}

TEST_F(NodeRosterTest, IsBoundedInNumber) {
  for (size_t i = 0; i < NodeRoster::kMostLost + 10; ++i) {
    ClusterNode node = Alive('a', "10.9.0." + std::to_string(i), "host" + std::to_string(i));
    node.node_id.replace(0, 4, std::to_string(1000 + i));
    Tell({one_, node}, {}, 1s);
    Tell({one_}, {Ended(node, false)}, 1s);
  }
  EXPECT_EQ(roster_.lost().size(), NodeRoster::kMostLost);
  EXPECT_EQ(roster_.lost().front().node.address, "10.9.0.10") << "the oldest went";
}

TEST_F(NodeRosterTest, OutlivesItsBridge) {
  const auto three = Alive('3', "10.0.0.3", "three", "g");
  Tell({one_, two_, three});
  Tell({one_, three}, {Ended(two_, false)});
  const std::string text = roster_.Text();

  // The same wall clock, another monotonic one.
  roster_ = NodeRoster();
  now_ = start_ + 1000s;
  ASSERT_TRUE(roster_.Load(text, kNow + 1'000'000, now_).ok());
  EXPECT_EQ(roster_.Text(), text);
  ASSERT_EQ(Lost(), Strings{"10.0.0.2"});
  EXPECT_EQ(MillisSince(roster_.lost()[0].since, now_), 800'000);
  // The head itself has a new id; three ended while nobody looked.
  Tell({Alive('8', "10.0.0.1", "one")});
  ASSERT_EQ(Lost(), (Strings{"10.0.0.2", "10.0.0.3"}));
  EXPECT_THAT(roster_.lost()[1].reason, HasSubstr("before the head's bridge started anew"));
  // Or it had not, and needed a second to register again.
  Tell({Alive('8', "10.0.0.1", "one"), three}, {}, 1s);
  EXPECT_EQ(Lost(), Strings{"10.0.0.2"});
}

TEST_F(NodeRosterTest, AHeadThatComesBackTakesItsOwnPlaceOnly) {
  const auto head = Alive('1', "10.0.0.1", "vm"), three = Alive('3', "10.0.0.3", "vm");
  Tell({head, three});
  Tell({head}, {Ended(three, false)});
  ASSERT_TRUE(roster_.Load(std::string(roster_.Text()), kNow, now_).ok());
  Tell({Alive('8', "10.0.0.1", "vm")});
  EXPECT_EQ(Lost(), Strings{"10.0.0.3"});
}

TEST_F(NodeRosterTest, AClockThatWasPutBackMakesNobodyYounger) {
  Tell({one_, two_});
  Tell({one_}, {Ended(two_, false)});
  const std::string text = roster_.Text();
  ASSERT_TRUE(roster_.Load(text, kNow - 3'600'000, now_).ok());
  EXPECT_EQ(MillisSince(roster_.lost()[0].since, now_), 0) << "never from the future";
}

TEST_F(NodeRosterTest, WhatIsNoRosterIsRefused) {
  Tell({one_, two_});
  for (const char* text : {"", "[]", "{", R"({"schema_version":2})"}) {
    EXPECT_EQ(roster_.Load(text, kNow, now_).code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(roster_.Text(), HasSubstr("10.0.0.2"));
  }
  EXPECT_TRUE(roster_.Load(R"({"schema_version":1,"lost":[1,{"node_id":"x"}],"nodes":7})", kNow, now_).ok());
  EXPECT_THAT(Lost(), IsEmpty());
}

// Copying a value takes a stack frame a level.
TEST_F(NodeRosterTest, WhatIsNestedWithoutEndIsRefused) {
  Tell({one_, two_});
  const std::string deep = std::string(1 << 20, '[') + std::string(1 << 20, ']');
  for (const std::string& text :
       {R"({"schema_version":)" + deep + "}", R"({"schema_version":1,"lost":[{"is_head":)" + deep + "}]}"}) {
    EXPECT_EQ(roster_.Load(text, kNow, now_).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(roster_.Text(), HasSubstr("10.0.0.2"));
  }
}

}  // namespace
}  // namespace netsense
