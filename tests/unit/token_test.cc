#include "base/token.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "base/token_watch.h"

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
  std::string Write(const std::string& name, const std::string& text, unsigned mode = 0600) {
    std::ofstream(home + "/" + name) << text;
    std::filesystem::permissions(home + "/" + name, std::filesystem::perms(mode));
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

TEST_F(TokenTest, TheOneBeforeStandsBesideIt) {
  const std::string path = Write("token", "new\n");
  EXPECT_FALSE(FindToken(path)->before.has_value());
  Write("token.previous", "old\n1234567890123\n");
  const auto before = FindToken(path)->before;
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->secret, "old");
  EXPECT_EQ(before->until_epoch_ms, 1234567890123);
  for (const char* none : {"", "\n", "none", "old\n", "old\nsoon\n", "\n1234567890123\n"}) {
    Write("token.previous", none);
    EXPECT_FALSE(FindToken(path)->before.has_value()) << none;
  }
  Write("token.previous", "old\n1234567890123\n", 0644);
  EXPECT_FALSE(FindToken(path)->before.has_value()) << "anybody may have read it";
}

TEST_F(TokenTest, ANamedFileMustHoldOne) {
  EXPECT_TRUE(absl::IsNotFound(FindToken(home + "/absent").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(FindToken(Write("empty", "\n")).status()));
}

TEST_F(TokenTest, AFileThatOthersMayReadIsNoToken) {
  for (unsigned mode : {0644u, 0604u, 0660u, 0602u}) {
    const std::string path = Write("open", "secret", mode);
    const auto refused = FindToken(path).status();
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
    EXPECT_NE(refused.message().find("--token-file"), absl::string_view::npos) << refused;
    EXPECT_NE(refused.message().find("chmod"), absl::string_view::npos) << refused;
    setenv("NETSENSE_TOKEN_FILE", path.c_str(), 1);
    EXPECT_TRUE(absl::IsPermissionDenied(FindToken("").status()));
    unsetenv("NETSENSE_TOKEN_FILE");
  }
  EXPECT_EQ(FindToken(Write("of-a-group", "secret", 0440))->secret, "secret") << "as a Kubernetes secret is mounted";
}

// Ray writes it with the umask of its user.
TEST_F(TokenTest, RaysOwnFilesAreTakenAsTheyAreAndSaidToBeNoSecret) {
  std::ostringstream said;
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said)));
  Write(".ray/auth_token", "from-home", 0644);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(FindToken("")->secret, "from-home");
  setenv("RAY_AUTH_TOKEN_PATH", Write("by-path", "from-path", 0664).c_str(), 1);
  EXPECT_EQ(FindToken("")->secret, "from-path");
  spdlog::set_default_logger(before);
  const std::string words = said.str();
  EXPECT_EQ(std::count(words.begin(), words.end(), '\n'), 1) << "once a process: " << words;
  EXPECT_NE(words.find("chmod 600 " + home + "/.ray/auth_token"), std::string::npos) << words;
}

TEST_F(TokenTest, APipeMayBringIt) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(write(ends[1], "from-pipe\n", 10), 10);
  close(ends[1]);
  EXPECT_EQ(FindToken("/proc/self/fd/" + std::to_string(ends[0]))->secret, "from-pipe");
  close(ends[0]);
}

// A piece that was taken would stand in the place of the token that the other nodes still show.
TEST_F(TokenTest, AFileThatIsWrittenInPiecesIsTakenWhenItIsWhole) {
  const std::string path = Write("in-pieces", "old", 0600);
  const auto token = FindToken(path);
  ASSERT_TRUE(token.ok()) << token.status();
  TokenRing ring = RingOf(*token);
  TokenFollower follower(path, ring);
  std::string written;
  for (const char* piece : {"a", "-new", "-token", "-in", "-pieces"}) {
    Write("in-pieces", written += piece, 0600);
    follower.Look();
    EXPECT_EQ(ring.current(), "old");
  }
  follower.Look();
  EXPECT_THAT(ring.accepted(), testing::ElementsAre(written, "old"));
}

TEST_F(TokenTest, TheSecretIsNotInTheOrigin) {
  Write(".ray/auth_token", "from-home\n");
  EXPECT_EQ(FindToken("")->origin.find("from-home"), std::string::npos);
}

}  // namespace
}  // namespace netsense
