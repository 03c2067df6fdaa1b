#include "tests/conformance/footprint.h"

#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/lab/pace.h"

namespace netsense::conformance {
namespace {

uint64_t EntriesOf(const std::string& folder) {
  std::error_code gone;
  uint64_t entries = 0;
  for (std::filesystem::directory_iterator at(folder, gone), end; !gone && at != end; at.increment(gone)) ++entries;
  return entries;
}

std::vector<pid_t> ChildrenOf(const std::string& process) {
  std::vector<pid_t> children;
  std::error_code gone;
  std::filesystem::directory_iterator at(process + "/task", gone), end;
  for (; !gone && at != end; at.increment(gone)) {
    std::ifstream list(at->path() / "children");
    for (pid_t child; list >> child;) children.push_back(child);
  }
  return children;
}

}  // namespace

Footprint Footprint::Of(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  Footprint footprint;
  footprint.descriptors = EntriesOf(process + "/fd");
  footprint.threads = EntriesOf(process + "/task");
  footprint.children = ChildrenOf(process).size();
  std::ifstream status(process + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "VmLck:") words >> footprint.locked_kib;
    if (name == "VmPin:") words >> footprint.pinned_kib;
  }
  return footprint;
}

bool Footprint::Within(const Footprint& other) const {
  return descriptors <= other.descriptors && threads <= other.threads && children <= other.children &&
         locked_kib <= other.locked_kib && pinned_kib <= other.pinned_kib;
}

std::ostream& operator<<(std::ostream& out, const Footprint& footprint) {
  return out << footprint.descriptors << " descriptors, " << footprint.threads << " threads, " << footprint.children
             << " children, " << footprint.locked_kib << " KiB locked, " << footprint.pinned_kib << " KiB pinned";
}

uint64_t AnonymousKib(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  uint64_t all = 0;
  std::ifstream status(process + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) std::istringstream(line.substr(line.find(':') + 1)) >> all;
  for (const pid_t child : ChildrenOf(process)) all += AnonymousKib(child);
  return all;
}

uint64_t SettledKib(pid_t pid, uint64_t most, std::chrono::nanoseconds limit) {
  uint64_t now = 0;
  pace::Eventually(
      [&] {
        now = AnonymousKib(pid);
        return now <= most;
      },
      limit);
  return now;
}

Footprint Settled(pid_t pid, const Footprint& before, std::chrono::nanoseconds limit) {
  Footprint now;
  pace::Eventually(
      [&] {
        now = Footprint::Of(pid);
        return now.Within(before);
      },
      limit);
  return now;
}

}  // namespace netsense::conformance
