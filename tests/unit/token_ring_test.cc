#include "base/token_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bearer.h"
#include "base/token_watch.h"

namespace netsense {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

constexpr MonotonicTime kBegin{std::chrono::hours(100)};

TEST(TokenRing, OneTokenIsARingOfOne) {
  const TokenRing ring = "a";
  EXPECT_FALSE(ring.empty());
  EXPECT_EQ(ring.current(), "a");
  EXPECT_THAT(ring.accepted(), ElementsAre("a"));
  EXPECT_THAT(TokenRing().accepted(), ElementsAre("")) << "both sides have none";
  EXPECT_TRUE(TokenRing().empty());
}

TEST(TokenRing, TheOneBeforeIsTakenForAWhileAndShownForHalfOfIt) {
  TokenRing ring = "a";
  const TokenRing copy = ring;
  EXPECT_TRUE(ring.Replace("b", kBegin));
  EXPECT_FALSE(ring.Replace("b", kBegin));
  EXPECT_EQ(copy.current(), "b") << "copies share it";
  EXPECT_THAT(copy.accepted(kBegin), ElementsAre("b", "a"));
  EXPECT_THAT(copy.shown(kBegin), ElementsAre("a", "b"));
  EXPECT_THAT(copy.shown(kBegin + kTokenOverlap / 2 - 1s), ElementsAre("a", "b"));
  EXPECT_THAT(copy.shown(kBegin + kTokenOverlap / 2), ElementsAre("b", "a"));
  EXPECT_THAT(copy.accepted(kBegin + kTokenOverlap - 1s), ElementsAre("b", "a"));
  EXPECT_THAT(copy.accepted(kBegin + kTokenOverlap), ElementsAre("b"));
  EXPECT_THAT(copy.shown(kBegin + kTokenOverlap), ElementsAre("b"));
}

TEST(TokenRing, PutBackAndChangedAgain) {
  TokenRing ring = "a";
  ring.Replace("b", kBegin);
  ring.Replace("a", kBegin + 1min);
  EXPECT_THAT(ring.accepted(kBegin + 2min), ElementsAre("a", "b"));
  ring.Replace("c", kBegin + 3min);
  EXPECT_THAT(ring.accepted(kBegin + 4min), ElementsAre("c", "a", "b"));
  EXPECT_THAT(ring.shown(kBegin + 4min), ElementsAre("a", "c", "b"));
}

TEST(TokenRing, WhoHasNoneGetsNone) {
  TokenRing ring;
  EXPECT_FALSE(ring.Replace("a"));
  TokenRing other = "a";
  EXPECT_FALSE(other.Replace("")) << "a file that was emptied opens nothing";
  EXPECT_EQ(other.current(), "a");
}

TEST(TokenRing, OfATokenThatWasChangedBeforeThisProgramBegan) {
  Token token{.secret = "b", .origin = "a test"};
  token.before = Token::Before{"a", EpochMillis() + 600'000};
  EXPECT_THAT(RingOf(token).accepted(), ElementsAre("b", "a"));
  EXPECT_THAT(RingOf(token).accepted(MonotonicNow() + 11min), ElementsAre("b"));
  token.before->until_epoch_ms = EpochMillis() + 1'000'000'000'000;
  EXPECT_THAT(RingOf(token).accepted(MonotonicNow() + kTokenOverlap), ElementsAre("b")) << "whatever the clock says";
  token.before->until_epoch_ms = EpochMillis() - 1;
  EXPECT_THAT(RingOf(token).accepted(), ElementsAre("b"));
}

TEST(ShowsToken, AnyThatIsAcceptedAndNoOther) {
  TokenRing ring = "a";
  ring.Replace("b");
  EXPECT_TRUE(ShowsToken("Bearer a", ring));
  EXPECT_TRUE(ShowsToken("Bearer b", ring));
  EXPECT_TRUE(ShowsToken("bearer b", ring));
  for (const char* wrong : {"Bearer c", "Bearer ", "", "a", "Bearera", "Bearer", "Basic a", "Bearer a "})
    EXPECT_FALSE(ShowsToken(wrong, ring));
  EXPECT_FALSE(ShowsToken("Bearer ", TokenRing()));
}

}  // namespace
}  // namespace netsense
