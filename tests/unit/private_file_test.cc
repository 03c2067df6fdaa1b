#include "base/private_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/unit/scratch_folder.h"

namespace netsense {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uid_t kStranger = 65534;

std::string Words(const absl::Status& status) { return std::string(status.message()); }

class PrivateFile : public testing::Test {
 protected:
  std::string File(mode_t mode, const std::string& name = "file") const {
    const std::string path = scratch.Write(name, "text");
    chmod(path.c_str(), mode);
    return path;
  }
  std::string Folder(mode_t mode, const std::string& name) const {
    std::filesystem::create_directory(scratch.At(name));
    chmod(scratch.At(name).c_str(), mode);
    return scratch.At(name);
  }
  static absl::Status Secret(const std::string& path) { return CheckSecret(OpenToRead(path)->get(), path); }
  static absl::Status Trusted(const std::string& path) { return CheckTrusted(OpenToRead(path)->get(), path); }
  static mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  const ScratchFolder scratch;
};

// What belongs to somebody else.
class ForeignFile : public PrivateFile {
 protected:
  void SetUp() override {
    if (geteuid() == 0) return;
    if (std::getenv("CI") != nullptr) FAIL() << "only root can give a file to another user, and CI must not lose it";
    GTEST_SKIP() << "NOT RUN: only root can give a file to another user";
  }
  static void Give(const std::string& path) { ASSERT_EQ(lchown(path.c_str(), kStranger, kStranger), 0); }
};

TEST_F(PrivateFile, ASecretIsReadByItsOwnerAndAGroupAtMost) {
  for (mode_t mode : {0600, 0400, 0440, 0640}) EXPECT_TRUE(Secret(File(mode)).ok()) << Secret(File(mode));
  for (mode_t mode : {0644, 0604, 0444}) {
    const std::string path = File(mode);
    EXPECT_TRUE(absl::IsPermissionDenied(Secret(path)));
    EXPECT_THAT(Words(Secret(path)), AllOf(HasSubstr("others may read " + path), HasSubstr("chmod 600 " + path)));
    EXPECT_TRUE(Trusted(path).ok()) << "to be read by all is no harm where it is no secret";
  }
  for (mode_t mode : {0660, 0620, 0602, 0666}) {
    const std::string path = File(mode);
    EXPECT_THAT(Words(Secret(path)), AllOf(HasSubstr("others may write " + path), HasSubstr("chmod go-w " + path)));
    EXPECT_EQ(absl::IsPermissionDenied(Trusted(path)), (mode & 02) != 0) << "whom its group is, its owner knows";
  }
}

// ..data is one, and so is what the secret's own name leads to.
TEST_F(PrivateFile, LinksToASecretAreFollowed) {
  scratch.Write("secret/..2026_01/token", "text");
  chmod(scratch.At("secret/..2026_01/token").c_str(), 0440);
  std::filesystem::create_directory_symlink("..2026_01", scratch.At("secret/..data"));
  std::filesystem::create_symlink("..data/token", scratch.At("secret/token"));
  EXPECT_TRUE(Secret(scratch.At("secret/token")).ok());
  chmod(scratch.At("secret/..2026_01/token").c_str(), 0444);
  EXPECT_FALSE(Secret(scratch.At("secret/token")).ok()) << "the file behind them counts";
}

TEST_F(PrivateFile, WhatIsNoFileIsNotRead) {
  EXPECT_TRUE(absl::IsNotFound(OpenToRead(scratch.At("absent")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenToRead(scratch.path()).status()));
  ASSERT_EQ(mkfifo(scratch.At("fifo").c_str(), 0600), 0);
  EXPECT_EQ(ReadUpTo(100, OpenToRead(scratch.At("fifo"))->get()), "") << "and nobody is waited for";
  EXPECT_EQ(ReadUpTo(2, OpenToRead(File(0600))->get()), "te");
}

TEST_F(ForeignFile, IsNoSecretAndNotTrusted) {
  const std::string path = File(0600);
  Give(path);
  for (const absl::Status& status : {Secret(path), Trusted(path)}) {
    EXPECT_TRUE(absl::IsPermissionDenied(status));
    EXPECT_THAT(Words(status),
                HasSubstr(path + " belongs to user 65534, neither to this one (0) nor to root: chown 0 "));
  }
}

TEST_F(PrivateFile, AFolderIsMadeForThisUserAlone) {
  const mode_t before = umask(0);
  auto made = MakePrivateFolder(scratch.At("a/b/c"), "give another");
  umask(before);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(*made);
  for (const char* each : {"a", "a/b", "a/b/c"}) EXPECT_EQ(ModeOf(scratch.At(each)), 0700u) << each;
  EXPECT_FALSE(*MakePrivateFolder(scratch.At("a/b/c"), "give another")) << "it was there";
  EXPECT_FALSE(*MakePrivateFolder(scratch.At("a/./b/../b/c/"), "give another"));
}

TEST_F(PrivateFile, AFolderThatOthersMayEnterIsRefused) {
  for (mode_t mode : {0755, 0710, 0777, 01777}) {
    const std::string path = Folder(mode, "open");
    auto refused = MakePrivateFolder(path, "give another");
    EXPECT_TRUE(absl::IsPermissionDenied(refused.status())) << mode;
    EXPECT_THAT(Words(refused.status()), HasSubstr(", or give another"));
  }
  EXPECT_THAT(Words(MakePrivateFolder(Folder(0755, "open"), "give another").status()),
              HasSubstr("chmod 700 " + scratch.At("open")));
}

TEST_F(PrivateFile, ALinkIsNoPrivateFolder) {
  Folder(0700, "real");
  std::filesystem::create_directory_symlink("real", scratch.At("link"));
  EXPECT_THAT(Words(MakePrivateFolder(scratch.At("link"), "give another").status()), HasSubstr("is a link"));
  EXPECT_TRUE(MakePrivateFolder(scratch.At("link/below"), "give another").ok()) << "one of ours, on the way";
  EXPECT_FALSE(MakePrivateFolder(File(0600), "give another").ok());
}

TEST_F(ForeignFile, AFolderOfSomebodyElseIsRefusedOnTheWayToo) {
  for (mode_t mode : {0700, 0755, 0777, 01777}) {
    const std::string path = Folder(mode, "theirs");
    Give(path);
    for (const absl::Status& status :
         {MakeTrustedFolder(path, "give another"), MakePrivateFolder(path, "give another").status(),
          MakePrivateFolder(path + "/ours", "give another").status()}) {
      EXPECT_TRUE(absl::IsPermissionDenied(status)) << mode;
      EXPECT_THAT(Words(status),
                  AllOf(HasSubstr(path + " belongs to user 65534"), HasSubstr("remove it, or give another")));
    }
    EXPECT_FALSE(std::filesystem::exists(path + "/ours")) << "nothing is made there";
  }
  Folder(0700, "real");
  std::filesystem::create_directory_symlink("real", scratch.At("link"));
  Give(scratch.At("link"));
  EXPECT_THAT(Words(MakeTrustedFolder(scratch.At("link/below"), "give another")), HasSubstr("the link "));
}

// Ours alone is judged by its mode: root's folders are root's to open, as Kubernetes' emptyDir is. Here we are root
// where the others run, so this needs another user.
TEST_F(ForeignFile, AFolderOfOursThatEverybodyMayWriteToIsRefusedUnlessItIsSticky) {
  Folder(0755, "top");
  chmod(scratch.path().c_str(), 0755);
  const std::string open = Folder(0777, "top/open"), sticky = Folder(01777, "top/sticky"),
                    roots = Folder(0777, "roots");
  Give(scratch.At("top"));
  Give(open);
  Give(sticky);
  ASSERT_EQ(seteuid(kStranger), 0);
  const absl::Status refused = MakeTrustedFolder(open + "/below", "give another");
  const absl::Status taken = MakeTrustedFolder(sticky + "/below", "give another");
  const absl::Status of_root = MakePrivateFolder(roots + "/below", "give another").status();
  const absl::Status not_ours = MakePrivateFolder(roots, "give another").status();
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(Words(refused), HasSubstr("others may write to " + open + " (mode 0777): chmod o-w " + open));
  EXPECT_TRUE(taken.ok()) << taken;
  EXPECT_TRUE(of_root.ok()) << of_root;
  EXPECT_THAT(Words(not_ours), HasSubstr("belongs to user 0"));
}

}  // namespace
}  // namespace netsense
