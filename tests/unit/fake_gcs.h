// A GCS of plain members, for tests of what reads from one and writes to one.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {

class FakeGcs : public GcsClient {
 public:
  std::vector<ClusterNode> nodes;
  std::map<std::string, std::string> table;
  absl::Status failure;  // what every call returns while not Ok

  // For tests with threads: blocks until `condition`, looked at after each Put.
  template <typename Condition>
  void WaitFor(Condition condition) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, condition);
  }
  template <typename Change>
  void Apply(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  int puts = 0;

  const std::string& address() const override { return address_; }
  absl::StatusOr<std::vector<ClusterNode>> AliveNodes() override { return Answer(nodes); }
  absl::StatusOr<std::vector<ClusterNode>> AllNodes() override { return Answer(nodes); }
  absl::Status RegisterNode(const ClusterNode&) override { return Status(); }
  absl::Status UnregisterNode(const std::string&) override { return Status(); }
  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    std::lock_guard lock(mutex_);
    if (!failure.ok()) return failure;
    auto found = table.find(key);
    return found == table.end() ? std::nullopt : std::optional(found->second);
  }
  absl::StatusOr<std::map<std::string, std::string>> MultiGet(const std::vector<std::string>& keys) override {
    std::lock_guard lock(mutex_);
    if (!failure.ok()) return failure;
    std::map<std::string, std::string> found;
    for (const std::string& key : keys)
      if (table.contains(key)) found[key] = table[key];
    return found;
  }
  absl::Status Put(const std::string& key, const std::string& value) override {
    std::lock_guard lock(mutex_);
    ++puts;
    changed_.notify_all();
    if (failure.ok()) table[key] = value;
    return failure;
  }
  absl::Status Delete(const std::string& key) override {
    std::lock_guard lock(mutex_);
    if (failure.ok()) table.erase(key);
    return failure;
  }
  absl::StatusOr<std::vector<std::string>> KeysWithPrefix(const std::string& prefix) override {
    std::lock_guard lock(mutex_);
    if (!failure.ok()) return failure;
    std::vector<std::string> keys;
    for (const auto& [key, value] : table)
      if (key.starts_with(prefix)) keys.push_back(key);
    return keys;
  }

 private:
  absl::Status Status() {
    std::lock_guard lock(mutex_);
    return failure;
  }
  absl::StatusOr<std::vector<ClusterNode>> Answer(const std::vector<ClusterNode>& list) {
    std::lock_guard lock(mutex_);
    if (!failure.ok()) return failure;
    return list;
  }

  const std::string address_ = "fake:1";
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace netsense
