// Every harness reads every file of its kept corpus once. What a fuzzer found and was mended stays mended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/logging.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

const std::filesystem::path kCorpus = NETSENSE_FUZZ_CORPUS;

class Corpus : public ::testing::TestWithParam<Harness> {};

TEST_P(Corpus, IsRead) {
  static const bool is_quiet = InitLogging("fuzz", "off").ok();
  ASSERT_TRUE(is_quiet);
  const std::filesystem::path folder = kCorpus / GetParam().name;
  ASSERT_TRUE(std::filesystem::is_directory(folder)) << "a harness needs a corpus: " << folder;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.insert(entry.path());
  ASSERT_FALSE(files.empty()) << "an empty corpus: " << folder;
  for (const std::filesystem::path& path : files) {
    std::cerr << path.string() << std::endl;  // the last one is what ended this program, if one did
    std::ifstream file(path, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), {}};
    GetParam().run(input);
    GetParam().run(std::string_view(input).substr(0, input.size() / 2));  // and as it is when it breaks off
  }
}

INSTANTIATE_TEST_SUITE_P(Kept, Corpus, ::testing::ValuesIn(Harnesses()),
                         [](const auto& of) { return std::string(of.param.name); });

TEST(Corpora, EachHasAHarness) {
  std::set<std::string> harnesses;
  for (const Harness& harness : Harnesses()) harnesses.insert(harness.name);
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus))
    EXPECT_THAT(harnesses, ::testing::Contains(entry.path().filename().string()));
}

// That the oracles can fail.
TEST(HarnessDeathTest, WhatDoesNotHoldEndsTheProgram) {
  EXPECT_EXIT(MustHold(false, "one and one are three"), ::testing::KilledBySignal(SIGABRT),
              "does not hold: one and one are three");
}

}  // namespace
}  // namespace netsense::fuzz
