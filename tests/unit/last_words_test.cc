#include "base/last_words.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace netsense {
namespace {

std::string WordsOf(const std::string& script) {
  ChildProgram program{.path = "sh", .arguments = {"-c", script}};
  LastWords words(&program);
  auto pid = Spawn(program);
  words.CloseChildsEnd();
  EXPECT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(waitpid(*pid, nullptr, 0), *pid);
  const std::string heard = words.Hear();
  kill(-*pid, SIGKILL);  // what it left behind: it had a group of its own
  return heard;
}

// As the loader writes, before there is a main.
TEST(LastWords, WhatAChildWritesToStandardErrorIsHeard) {
  EXPECT_EQ(WordsOf("echo first >&2; echo '  second ' >&2; echo >&2"), "second");
  EXPECT_EQ(WordsOf("echo on standard output > /dev/null"), "");
  EXPECT_EQ(WordsOf("head -c 3000 /dev/zero | tr '\\0' x >&2"), std::string(1024, 'x')) << "so much is enough";
}

TEST(LastWords, TheChildHasTheParentsStandardErrorBesides) {
  EXPECT_EQ(WordsOf("[ \"$NETSENSE_LAST_WORDS\" = 1 ] && [ /proc/self/fd/3 -ef /proc/" + std::to_string(getpid()) +
                    "/fd/2 ] && echo same >&2"),
            "same");
}

TEST(LastWords, AChildThatSaysMoreThanAPipeHoldsDoesNotStandStill) {
  const std::string heard = WordsOf("yes words | head -n 100000 >&2");
  EXPECT_FALSE(heard.empty());
  EXPECT_EQ(std::string("words").find(heard), 0u) << heard;
}

// A child of the child may live on with the pipe.
TEST(LastWords, NobodyElseIsWaitedFor) { EXPECT_EQ(WordsOf("echo over >&2; sleep 60 & exit 1"), "over"); }

}  // namespace
}  // namespace netsense
