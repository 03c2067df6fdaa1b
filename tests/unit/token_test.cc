#include "base/token.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace netsense {
namespace {

class TokenTest : public testing::Test {
 protected:
  TokenTest() : home(testing::TempDir() + "token_test." + std::to_string(getpid())) {
    std::filesystem::create_directories(home + "/.ray");
    for (const char* name : {"NETSENSE_TOKEN_FILE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}) unsetenv(name);
    setenv("HOME", home.c_str(), 1);
  }
  ~TokenTest() override { std::filesystem::remove_all(home); }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(home + "/" + name) << text;
    return home + "/" + name;
  }
  std::string home;
};

TEST_F(TokenTest, ThereMayBeNone) {
  auto token = FindToken("");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE(token->secret.empty());
}

TEST_F(TokenTest, TheFirstPlaceThatHasOneCounts) {
  Write(".ray/auth_token", "from-home\n");
  EXPECT_EQ(FindToken("")->secret, "from-home");
  setenv("RAY_AUTH_TOKEN_PATH", Write("by-path", "  from-path \r\nsecond line\n").c_str(), 1);
  EXPECT_EQ(FindToken("")->secret, "from-path");
  setenv("RAY_AUTH_TOKEN", " from-env ", 1);
  EXPECT_EQ(FindToken("")->secret, "from-env");
  setenv("NETSENSE_TOKEN_FILE", Write("ours", "from-ours").c_str(), 1);
  EXPECT_EQ(FindToken("")->secret, "from-ours");
  EXPECT_EQ(FindToken(Write("flag", "from-flag"))->secret, "from-flag");
}

TEST_F(TokenTest, ANamedFileMustHoldOne) {
  EXPECT_TRUE(absl::IsNotFound(FindToken(home + "/absent").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(FindToken(Write("empty", "\n")).status()));
}

TEST_F(TokenTest, TheSecretIsNotInTheOrigin) {
  Write(".ray/auth_token", "from-home\n");
  EXPECT_EQ(FindToken("")->origin.find("from-home"), std::string::npos);
}

}  // namespace
}  // namespace netsense
