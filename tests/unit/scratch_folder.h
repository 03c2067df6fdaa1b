// A folder of a test's own under the temporary one, gone with it; and what one writes into it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace netsense {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "netsense_test_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  std::string At(const std::string& relative) const { return (path_ / relative).string(); }
  std::string path() const { return path_.string(); }

  // Makes the folders on the way.
  std::string Write(const std::string& relative, const std::string& content) const {
    std::filesystem::create_directories((path_ / relative).parent_path());
    std::ofstream(path_ / relative, std::ios::binary) << content;
    return At(relative);
  }

  // A relative link from one place of the folder to another, as sysfs has them.
  void Link(const std::string& from, const std::string& to) const {
    std::filesystem::create_directories((path_ / from).parent_path());
    std::filesystem::create_symlink(std::filesystem::path(path_ / to).lexically_relative((path_ / from).parent_path()),
                                    path_ / from);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace netsense
