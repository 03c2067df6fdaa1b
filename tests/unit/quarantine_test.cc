#include "transports/isolated/quarantine.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace netsense::isolated {
namespace {

using std::chrono::minutes;

constexpr char kHow[] = "was killed by signal 6 (Aborted)";
const MonotonicTime kStart = MonotonicTime() + std::chrono::hours(1000);

std::string Peer(int number) { return "10.0.0." + std::to_string(number); }

TEST(Quarantine, SaysWhyAndForHowLong) {
  Quarantine quarantine;
  EXPECT_FALSE(quarantine.Of(Peer(1), kStart));
  quarantine.Crashed(Peer(1), kHow, kStart);
  auto stay = quarantine.Of(Peer(1), kStart + minutes(4));
  ASSERT_TRUE(stay);
  EXPECT_EQ(stay->reason,
            "sessions with 10.0.0.1 are kept in a process apart for 6 min more: one was killed by signal 6 (Aborted) "
            "in a session with it");
  EXPECT_FALSE(quarantine.Of(Peer(2), kStart)) << "others are not meant";
}

TEST(Quarantine, EndsAndAfterEachCrashLastsTwiceAsLong) {
  Quarantine quarantine;
  MonotonicTime now = kStart;
  for (minutes stay : {minutes(10), minutes(20), minutes(40), minutes(80)}) {
    quarantine.Crashed(Peer(1), kHow, now);
    EXPECT_TRUE(quarantine.Of(Peer(1), now + stay - std::chrono::seconds(1))) << stay.count();
    now += stay;
    EXPECT_FALSE(quarantine.Of(Peer(1), now)) << stay.count();
  }
  for (int i = 0; i < 100; ++i) quarantine.Crashed(Peer(1), kHow, now);
  EXPECT_TRUE(quarantine.Of(Peer(1), now + Quarantine::kLongestStay - minutes(1)));
  EXPECT_FALSE(quarantine.Of(Peer(1), now + Quarantine::kLongestStay)) << "never for good";
}

TEST(Quarantine, IsForgottenAfterAsLongWithoutACrash) {
  Quarantine quarantine;
  quarantine.Crashed(Peer(1), kHow, kStart);
  quarantine.Crashed(Peer(1), kHow, kStart + minutes(25));
  EXPECT_FALSE(quarantine.Of(Peer(1), kStart + minutes(36))) << "as the first time";
}

TEST(Quarantine, OnePlaceAPeerAsLongAsThereAre) {
  Quarantine quarantine;
  std::multiset<size_t> places;
  for (int i = 0; i < 2 * static_cast<int>(Quarantine::kPlaces); ++i) {
    quarantine.Crashed(Peer(i), kHow, kStart);
    places.insert(quarantine.Of(Peer(i), kStart)->place);
  }
  for (size_t place = 0; place < Quarantine::kPlaces; ++place) EXPECT_EQ(places.count(place), 2u) << place;
  // While it stays it stays where it is, however often it crashes.
  const size_t place = quarantine.Of(Peer(0), kStart)->place;
  quarantine.Crashed(Peer(0), kHow, kStart + minutes(1));
  EXPECT_EQ(quarantine.Of(Peer(0), kStart + minutes(1))->place, place);
}

TEST(Quarantine, APlaceIsFreeAgainWhenItsPeerHasGone) {
  Quarantine quarantine;
  quarantine.Crashed(Peer(0), kHow, kStart);
  const size_t place = quarantine.Of(Peer(0), kStart)->place;
  for (int i = 1; i < static_cast<int>(Quarantine::kPlaces); ++i)
    quarantine.Crashed(Peer(i), kHow, kStart + minutes(5));
  quarantine.Crashed(Peer(100), kHow, kStart + minutes(11));
  EXPECT_EQ(quarantine.Of(Peer(100), kStart + minutes(11))->place, place);
}

TEST(Quarantine, RemembersABoundedNumberOfPeers) {
  Quarantine quarantine;
  const int most = static_cast<int>(Quarantine::kMostPeers);
  for (int i = 0; i < 2 * most; ++i) quarantine.Crashed(Peer(i), kHow, kStart + std::chrono::milliseconds(i));
  int kept = 0;
  for (int i = 0; i < 2 * most; ++i) kept += quarantine.Of(Peer(i), kStart + minutes(1)) ? 1 : 0;
  EXPECT_EQ(kept, most);
  EXPECT_TRUE(quarantine.Of(Peer(2 * most - 1), kStart + minutes(1))) << "the newest";
}

}  // namespace
}  // namespace netsense::isolated
