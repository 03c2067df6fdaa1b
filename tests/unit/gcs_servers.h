// What the tests of the GCS client and of the embedded GCS share: a server, a client, a token.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "raylet_bridge/gcs/embedded_gcs.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "tests/lab/pace.h"

namespace netsense {

inline const std::string kNodeA(56, 'a');
inline const std::string kNodeB(56, 'b');

inline std::unique_ptr<EmbeddedGcs> Serve(const EmbeddedGcs::Options& options) {
  auto gcs = EmbeddedGcs::Start(options);
  EXPECT_TRUE(gcs.ok()) << gcs.status();
  return gcs.ok() ? *std::move(gcs) : nullptr;
}

inline std::string AddressOf(uint16_t port) { return absl::StrCat("127.0.0.1:", port); }

inline std::unique_ptr<GcsClient> ClientOf(const std::string& address, const std::string& token_file = "") {
  // Generous: a busy machine must not turn a right answer into a late one.
  auto client = GcsClient::Create({.address = address, .token_file = token_file, .timeout = pace::Patience()});
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : nullptr;
}

// A token file, and an environment in which no other token is found.
class TokenFile {
 public:
  TokenFile() {
    std::string name = (std::filesystem::temp_directory_path() / "netsense_gcs_XXXXXX").string();
    directory_ = mkdtemp(name.data());
    home_ = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    setenv("HOME", directory_.c_str(), 1);
  }
  ~TokenFile() {
    setenv("HOME", home_.c_str(), 1);
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/token"; }
  void Write(const std::string& token) {
    std::ofstream(path()) << token << "\n";
    std::filesystem::permissions(path(), std::filesystem::perms(0600));
  }

 private:
  std::string directory_, home_;
};

}  // namespace netsense
