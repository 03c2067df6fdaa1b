#include "raylet_bridge/serve/file_sd.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "scratch_folder.h"

namespace netsense {
namespace {

const std::string kA(56, 'a'), kB(56, 'b'), kC(56, 'c');

void AddNode(ClusterView& view, const std::string& id, const std::string& http,
             const std::string& address = "10.0.0.1") {
  view.nodes.push_back({id, address, "host-" + id.substr(0, 1), true, id == kA, 0});
  DoorRecord door;
  door.node_id = id;
  door.http = http;
  view.doors.emplace(id, door);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FileSd, HasATargetForEachBridgeThatServesHttp) {
  ClusterView view;
  AddNode(view, kA, "10.0.0.1:18591");
  AddNode(view, kB, "");
  AddNode(view, kC, "[fd00::1]:40000", "fd00::1");
  view.nodes.push_back({std::string(56, 'd'), "10.0.0.4", "no door", true, false, 0});
  auto targets = nlohmann::json::parse(FileSdJson(view, "c"));
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0]["targets"], nlohmann::json::array({"10.0.0.1:18591"}));
  EXPECT_EQ(
      targets[0]["labels"],
      nlohmann::json(
          {{"job", "ray_network_sense"}, {"cluster", "c"}, {"node_id", kA}, {"hostname", "host-a"}, {"head", "true"}}));
  EXPECT_EQ(targets[1]["targets"][0], "[fd00::1]:40000");
  EXPECT_EQ(targets[1]["labels"]["head"], "false");
}

TEST(FileSd, AddressesThatAreNoneAreLeftOut) {
  ClusterView view;
  AddNode(view, kA, "http://elsewhere/");
  AddNode(view, kB, "10.0.0.1:99999");
  AddNode(view, kC, "10.0.0.1:0");
  EXPECT_EQ(FileSdJson(view, "c"), "[]\n");
}

// Whoever may write to the KV would get the token that Prometheus sends.
TEST(FileSd, ARecordCannotSendPrometheusElsewhere) {
  ClusterView view;
  AddNode(view, kA, "203.0.113.9:18591");
  AddNode(view, kB, "elsewhere.example/?:18592", "fd00::2");
  auto targets = nlohmann::json::parse(FileSdJson(view, "c"));
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0]["targets"], nlohmann::json::array({"10.0.0.1:18591"}));
  EXPECT_EQ(targets[1]["targets"], nlohmann::json::array({"[fd00::2]:18592"}));
}

TEST(FileSd, StandsBesideRaysOwn) {
  EXPECT_EQ(FileSdPath("/tmp/ray/session_2026"), "/tmp/ray/prom_metrics_service_discovery_netsense.json");
  EXPECT_EQ(FileSdPath(""), "");
}

TEST(FileSd, IsWrittenWhenItChangesAndRemovedAtTheEnd) {
  ScratchFolder folder;
  const std::string path = folder.At("sd.json");
  ClusterView view;
  AddNode(view, kA, "10.0.0.1:1");
  {
    FileSd file(path, "c");
    file.Update(view);
    EXPECT_EQ(ReadFile(path), FileSdJson(view, "c"));
    struct stat first {
    }, second{};
    ASSERT_EQ(stat(path.c_str(), &first), 0);
    EXPECT_EQ(first.st_mode & 0777, 0644u);
    file.Update(view);
    ASSERT_EQ(stat(path.c_str(), &second), 0);
    EXPECT_EQ(first.st_ino, second.st_ino) << "nothing changed";
    AddNode(view, kB, "10.0.0.2:1");
    file.Update(view);
    EXPECT_EQ(ReadFile(path), FileSdJson(view, "c"));
    std::filesystem::remove(path);
    file.Update(view);
    EXPECT_TRUE(std::filesystem::exists(path)) << "somebody removed it";
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(FileSd, WhatSomebodyElsePutThereIsReplacedWhileWeRunAndLeftAtTheEnd) {
  ScratchFolder folder;
  const std::string path = folder.At("sd.json");
  {
    FileSd file(path, "c");
    file.Update({});
    std::filesystem::remove(path);
    folder.Write("sd.json", "[1]");
    file.Update({});
    EXPECT_EQ(ReadFile(path), "[]\n");
    std::filesystem::remove(path);
    folder.Write("sd.json", "[]\n");
  }
  EXPECT_EQ(ReadFile(path), "[]\n") << "the same words, another file";
}

// Opened, it would wait for a writer for ever.
TEST(FileSd, AFifoInItsPlaceIsNotOpened) {
  ScratchFolder folder;
  const std::string path = folder.At("sd.json");
  {
    FileSd file(path, "c");
    file.Update({});
    std::filesystem::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    file.Update({});
    EXPECT_TRUE(std::filesystem::is_regular_file(path));
    std::filesystem::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  }
  EXPECT_TRUE(std::filesystem::is_fifo(path));
}

TEST(FileSd, AFolderThatIsNotThereEndsNothing) {
  ScratchFolder folder;
  FileSd file(folder.At("none/sd.json"), "c");
  file.Update({});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace netsense
