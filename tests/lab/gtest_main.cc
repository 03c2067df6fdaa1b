// The main of the unit tests: as gtest's own, once the machine's pace is known.
#include <gtest/gtest.h>

#include "tests/lab/pace.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!GTEST_FLAG_GET(list_tests)) netsense::pace::Start();
  return RUN_ALL_TESTS();
}
