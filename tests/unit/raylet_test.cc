#include "raylet_bridge/identity/raylet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace netsense {
namespace {

using testing::HasSubstr;

const std::string kNodeA(56, 'a');
const std::string kNodeB(56, 'b');
constexpr char kProgram[] = "/opt/venv/lib/python3.11/site-packages/ray/core/src/ray/raylet/raylet";

// A directory that looks like /proc, and an environment in which nothing names a GCS.
class RayletTest : public testing::Test {
 protected:
  RayletTest() {
    std::string name = (std::filesystem::temp_directory_path() / "netsense_raylet_XXXXXX").string();
    root_ = mkdtemp(name.data());
    SetNetwork("self", "net:[1]");
    unsetenv("RAY_ADDRESS");
    setenv("RAY_TMPDIR", root_.c_str(), 1);
  }
  ~RayletTest() override {
    unsetenv("RAY_ADDRESS");
    unsetenv("RAY_TMPDIR");
    std::filesystem::remove_all(root_);
  }

  void SetNetwork(const std::string& pid, const std::string& network) {
    std::filesystem::create_directories(root_ + "/" + pid + "/ns");
    std::filesystem::create_symlink(network, root_ + "/" + pid + "/ns/net");
  }

  void AddProcess(const std::string& pid, const std::vector<std::string>& arguments) {
    std::filesystem::create_directories(root_ + "/" + pid);
    std::ofstream file(root_ + "/" + pid + "/cmdline", std::ios::binary);
    for (const auto& argument : arguments) file << argument << '\0';
  }

  // The arguments of a raylet of Ray 2.53.0, shortened.
  void AddRaylet(const std::string& pid, const std::string& node_id, const std::string& gcs, const std::string& ip,
                 bool head) {
    std::vector<std::string> arguments = {
        kProgram,
        "--raylet_socket_name=/tmp/ray/session_x/sockets/raylet",
        "--node_id=" + node_id,
        "--node_ip_address=" + ip,
        "--python_worker_command=python --gcs-address=203.0.113.9:1 --node_id=" + std::string(56, 'f') + " --head",
        "--session_dir=/tmp/ray/session_x",
        "--gcs-address=" + gcs,
        "--dashboard_agent_command=python agent.py --gcs-address=203.0.113.9:2 --head"};
    if (head) arguments.insert(arguments.end() - 1, "--head");
    AddProcess(pid, arguments);
  }

  std::string root_;
};

TEST_F(RayletTest, ReadsWhatTheArgumentsSay) {
  AddRaylet("120", kNodeA, "10.0.0.1:6379", "10.0.0.1", true);
  SetNetwork("120", "net:[1]");
  AddRaylet("7", kNodeB, "10.0.0.1:6379", "10.0.0.2", false);
  SetNetwork("7", "net:[2]");
  auto raylets = FindRaylets(root_);
  ASSERT_EQ(raylets.size(), 2u);
  EXPECT_EQ(raylets[0].pid, 7);
  EXPECT_EQ(raylets[0].node_id, kNodeB);
  EXPECT_FALSE(raylets[0].is_head);
  EXPECT_FALSE(raylets[0].own_network);
  EXPECT_EQ(raylets[1].pid, 120);
  EXPECT_EQ(raylets[1].node_id, kNodeA);
  EXPECT_EQ(raylets[1].gcs_address, "10.0.0.1:6379");
  EXPECT_EQ(raylets[1].node_ip, "10.0.0.1");
  EXPECT_EQ(raylets[1].session_dir, "/tmp/ray/session_x");
  EXPECT_TRUE(raylets[1].is_head);
  EXPECT_TRUE(raylets[1].own_network);
}

TEST_F(RayletTest, OtherProcessesAreNone) {
  AddProcess("1", {"/sbin/init"});
  AddProcess("2", {});  // a kernel thread, or a zombie
  AddProcess("3", {"/usr/bin/raylet-watch", "--node_id=" + kNodeA, "--gcs-address=10.0.0.1:6379"});
  AddProcess("4", {"vim", kProgram, "--node_id=" + kNodeA, "--gcs-address=10.0.0.1:6379"});
  AddProcess("5", {kProgram, "--node_id=abc", "--gcs-address=10.0.0.1:6379"});
  AddProcess("6", {kProgram, "--node_id=" + std::string(56, 'z'), "--gcs-address=10.0.0.1:6379"});
  AddProcess("7", {kProgram, "--node_id=" + kNodeA, "--gcs-address=nonsense"});
  AddProcess("8x", {kProgram, "--node_id=" + kNodeA, "--gcs-address=10.0.0.1:6379"});
  std::filesystem::create_directories(root_ + "/9");
  EXPECT_TRUE(FindRaylets(root_).empty());
  EXPECT_TRUE(FindRaylets(root_ + "/absent").empty());
}

TEST_F(RayletTest, ChoosesTheOneOrSaysHow) {
  EXPECT_EQ(ChooseRaylet({}, {}).status().code(), absl::StatusCode::kNotFound);
  AddRaylet("10", kNodeA, "10.0.0.1:6379", "10.0.0.1", true);
  auto chosen = ChooseRaylet(FindRaylets(root_), {});
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->node_id, kNodeA);

  AddRaylet("11", kNodeB, "10.0.0.1:6379", "10.0.0.2", false);
  auto raylets = FindRaylets(root_);
  auto several = ChooseRaylet(raylets, {});
  EXPECT_EQ(several.status().code(), absl::StatusCode::kFailedPrecondition);
  for (const std::string& part : {std::string("--raylet-pid"), std::string("pid 10"), kNodeA, kNodeB})
    EXPECT_THAT(std::string(several.status().message()), HasSubstr(part));
  EXPECT_EQ(ChooseRaylet(raylets, {.pid = 11, .node_ip = {}, .gcs_address = {}})->node_id, kNodeB);
  EXPECT_EQ(ChooseRaylet(raylets, {.pid = {}, .node_ip = "10.0.0.1", .gcs_address = {}})->node_id, kNodeA);
  auto none = ChooseRaylet(raylets, {.pid = {}, .node_ip = {}, .gcs_address = "10.9.9.9:6379"});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("pid 10"));
}

TEST_F(RayletTest, TheOwnNetworkNamespaceGoesFirst) {
  AddRaylet("10", kNodeA, "10.0.0.1:6379", "10.0.0.1", true);
  AddRaylet("11", kNodeB, "10.0.0.1:6379", "10.0.0.2", false);
  SetNetwork("10", "net:[2]");
  SetNetwork("11", "net:[1]");
  EXPECT_EQ(ChooseRaylet(FindRaylets(root_), {})->node_id, kNodeB);
  // Asked for by name, the other one is had.
  EXPECT_EQ(ChooseRaylet(FindRaylets(root_), {.pid = 10, .node_ip = {}, .gcs_address = {}})->node_id, kNodeA);
}

// Everybody may write in that folder, and the token goes to whom the file names.
TEST_F(RayletTest, AnAddressThatAnybodyMayHaveWrittenIsNotTaken) {
  std::filesystem::create_directories(root_ + "/ray");
  const std::string path = root_ + "/ray/ray_current_cluster";
  std::ofstream(path) << "10.0.0.4:6379\n";
  std::filesystem::permissions(path, std::filesystem::perms(0666));
  auto refused = FindGcsAddress("", root_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(refused.message().find("others may write " + path), absl::string_view::npos) << refused;
  std::filesystem::permissions(path, std::filesystem::perms(0664));
  EXPECT_EQ(*FindGcsAddress("", root_), "10.0.0.4:6379") << "as a umask of 002 makes it";
}

TEST_F(RayletTest, TheGcsAddressIsLookedForInOrder) {
  EXPECT_EQ(FindGcsAddress("", root_).status().code(), absl::StatusCode::kNotFound);

  std::filesystem::create_directories(root_ + "/ray");
  std::ofstream(root_ + "/ray/ray_current_cluster") << "10.0.0.4:6379\n";
  EXPECT_EQ(*FindGcsAddress("", root_), "10.0.0.4:6379");

  AddRaylet("10", kNodeA, "10.0.0.3:6379", "10.0.0.1", true);
  AddRaylet("11", kNodeB, "10.0.0.3:6379", "10.0.0.2", false);
  EXPECT_EQ(*FindGcsAddress("", root_), "10.0.0.3:6379");
  AddRaylet("12", kNodeB, "10.0.0.5:6379", "10.0.0.2", false);
  EXPECT_EQ(FindGcsAddress("", root_).status().code(), absl::StatusCode::kFailedPrecondition);

  for (const char* unusable : {"auto", "local", "ray://10.0.0.2:10001", "http://10.0.0.2:8265", "10.0.0.2", ":6379"}) {
    setenv("RAY_ADDRESS", unusable, 1);
    EXPECT_EQ(FindGcsAddress("", root_).status().code(), absl::StatusCode::kFailedPrecondition) << unusable;
  }
  setenv("RAY_ADDRESS", "10.0.0.2:6379", 1);
  EXPECT_EQ(*FindGcsAddress("", root_), "10.0.0.2:6379");
  EXPECT_EQ(*FindGcsAddress("[::1]:6379", root_), "[::1]:6379");
  EXPECT_EQ(FindGcsAddress("10.0.0.1", root_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace netsense
