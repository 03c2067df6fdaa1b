// The main of the unit tests: as gtest's own, once the machine's pace is known.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/lab/pace.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // as the programs do
  testing::InitGoogleTest(&argc, argv);
  if (!GTEST_FLAG_GET(list_tests)) netsense::pace::Start();
  return RUN_ALL_TESTS();
}
