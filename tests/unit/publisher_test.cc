#include "raylet_bridge/gcs/publisher.h"

#include <gtest/gtest.h>

#include <string>

#include "fake_gcs.h"
#include "raylet_bridge/gcs/dead_keys.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

const std::string kA(56, 'a'), kB(56, 'b');

TEST(Publisher, Writes) {
  FakeGcs gcs;
  Publisher publisher(&gcs, milliseconds(1));
  publisher.Publish("k", "1");
  publisher.Publish("l", "2");
  gcs.WaitFor([&] { return gcs.table.size() == 2; });
  EXPECT_EQ(gcs.table["k"], "1");
}

TEST(Publisher, KeepsTheNewestThroughAnOutageAndCountsWhatItReplaced) {
  FakeGcs gcs;
  gcs.failure = absl::UnavailableError("gone");
  Publisher publisher(&gcs, milliseconds(1));
  publisher.Publish("k", "old");
  gcs.WaitFor([&] { return gcs.puts >= 2; });
  publisher.Publish("k", "new");
  // A try of "old" may be under way: two more, and "new" was tried.
  int tried = 0;
  gcs.Apply([&] { tried = gcs.puts; });
  gcs.WaitFor([&] { return gcs.puts >= tried + 2; });
  EXPECT_TRUE(gcs.table.empty());
  gcs.Apply([&] { gcs.failure = absl::OkStatus(); });
  gcs.WaitFor([&] { return gcs.table.contains("k"); });
  EXPECT_EQ(gcs.table["k"], "new");
  EXPECT_EQ(publisher.counters().dropped, 1u);
  EXPECT_GE(publisher.counters().failed, 3u);
}

TEST(Publisher, EndsDuringAnOutage) {
  FakeGcs gcs;
  gcs.failure = absl::UnavailableError("gone");
  Publisher publisher(&gcs, std::chrono::hours(1));
  publisher.Publish("k", "1");
  gcs.WaitFor([&] { return gcs.puts >= 1; });
}

TEST(DeadKeys, RemovesWhatIsLeftOverAtTheStartAndWhoDiesLater) {
  FakeGcs gcs;
  gcs.table = {{ReportKey(kA), "x"}, {DoorKey(kA), "x"}, {ReportKey(kB), "x"}, {DoorKey(kB), "x"}, {"config", "{}"}};
  ClusterNode a, b;
  a.node_id = kA;
  b.node_id = kB;
  gcs.table[ReportKey(std::string(56, 'c'))] = "left over";
  gcs.table[InventoryKey(std::string(56, 'd'))] = "left over";
  gcs.table[InventoryKey(kB)] = "x";
  DeadKeys dead_keys(&gcs);
  ASSERT_TRUE(dead_keys.Remove({a, b}).ok());
  EXPECT_EQ(gcs.table.size(), 6u);
  gcs.failure = absl::UnavailableError("gone");
  EXPECT_FALSE(dead_keys.Remove({a}).ok());
  gcs.failure = absl::OkStatus();
  ASSERT_TRUE(dead_keys.Remove({a}).ok());
  EXPECT_FALSE(gcs.table.contains(ReportKey(kB)) || gcs.table.contains(DoorKey(kB)));
  EXPECT_FALSE(gcs.table.contains(InventoryKey(kB)));
  EXPECT_TRUE(gcs.table.contains(ReportKey(kA)) && gcs.table.contains("config"));
}

}  // namespace
}  // namespace netsense
