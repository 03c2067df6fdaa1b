#include "raylet_bridge/identity/start_anew.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/logging.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {
namespace {

constexpr char kVariable[] = "NETSENSE_STARTED_ANEW_AS";
// What a deadline may be late by.
constexpr std::chrono::seconds kHarmless{1};

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Ports and sockets are the next one's to open.
void CloseAllOnExec() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error))
    if (int fd = 0; absl::SimpleAtoi(entry.path().filename().string(), &fd) && fd > STDERR_FILENO)
      fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void StartAnew(const std::string& node_id) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.ends_with('\0')) text.pop_back();
  std::vector<std::string> arguments = absl::StrSplit(text, '\0'), variables;
  for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
  if (!node_id.empty()) variables.push_back(std::string(kVariable) + "=" + node_id);
  CloseAllOnExec();
  execve("/proc/self/exe", Pointers(arguments).data(), Pointers(variables).data());
  spdlog::error("cannot start anew ({}): restart netsense-bridge, its deadlines do not hold", strerror(errno));
}

}  // namespace

std::unique_ptr<WallClockWatch> StartAnewWhenTheClockIsPutBack(const std::string& node_id) {
  return std::make_unique<WallClockWatch>([node_id](std::chrono::milliseconds step) {
    if (step > -kHarmless) {
      spdlog::info("the wall clock was set by {} ms", step.count());
      return;
    }
    spdlog::warn("the wall clock was put back by {} ms: starting anew, because gRPC's deadlines wait by it",
                 -step.count());
    StartAnew(node_id);
  });
}

std::string NodeIdFromBefore() {
  const char* value = std::getenv(kVariable);
  const std::string node_id = value == nullptr ? "" : value;
  unsetenv(kVariable);
  return IsNodeId(node_id) ? node_id : "";
}

}  // namespace netsense
