#include "engine/inventory/cpu_list.h"

#include <gtest/gtest.h>

namespace netsense::inventory {
namespace {

TEST(CpuList, IsRead) {
  EXPECT_EQ(*ParseCpuList("0-2,8"), (std::vector<int>{0, 1, 2, 8}));
  EXPECT_EQ(*ParseCpuList("5,0-1,1"), (std::vector<int>{0, 1, 5}));
}

TEST(CpuList, AnythingElseIsRefused) {
  for (const char* bad : {"", "a", "3-1", "1,", ",1", "1,,2", "-1", "3-", "1--3", "1-2-3", "0x1", "1 2", "0-99999999"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseCpuList(bad).status())) << bad;
}

TEST(CpuList, IsWrittenAsLinuxDoes) {
  EXPECT_EQ(CpuList({0, 1, 2, 8}), "0-2,8");
  EXPECT_EQ(CpuList({}), "");
}

}  // namespace
}  // namespace netsense::inventory
