#include "engine/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

namespace netsense {
namespace {

TEST(WorkerPool, NoTaskWaitsForAnother) {
  WorkerPool pool;
  std::latch all(50);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.Run([&all] { all.arrive_and_wait(); }));  // all 50 must run at once
  all.wait();
}

TEST(WorkerPool, FinishesEveryTaskBeforeItGoes) {
  std::atomic<int> done = 0;
  {
    WorkerPool pool;
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(pool.Run([&done] { ++done; }));
  }
  EXPECT_EQ(done, 200);
}

}  // namespace
}  // namespace netsense
