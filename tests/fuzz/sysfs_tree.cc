// Untrusted: a copy of /sys that somebody made. What must hold: machine.h; and nothing outside of the copy is read,
// wherever its links lead. The input is a list of what is in it, a line each: "path=content", "path>target of a link".
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "bench/topo/json.h"
#include "engine/inventory/inventory.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/machine.h"

namespace netsense::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr int kMostEntries = 400;
constexpr char kSecret[] = "secret-outside";

// In memory, where there is such a place: a fuzzer writes millions of them.
class Folder {
 public:
  Folder() {
    std::error_code none;
    std::string name = (fs::is_directory("/dev/shm", none) ? fs::path("/dev/shm") : fs::temp_directory_path()) /
                       "netsense_fuzz_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path path() const { return path_; }

 private:
  fs::path path_;
};

// Of names alone, so that it leads nowhere else.
bool IsInside(const std::string& path) {
  if (path.empty() || path.size() > 200 || path.front() == '/') return false;
  const fs::path parts(path);
  return path.find('\0') == std::string::npos &&
         std::none_of(parts.begin(), parts.end(), [](const fs::path& part) { return part == ".." || part == "."; });
}

void Write(const fs::path& tree, const std::string& line) {
  const size_t mark = line.find_first_of("=>");
  const std::string path = line.substr(0, mark);
  if (mark == std::string::npos || !IsInside(path)) return;
  std::error_code error;
  fs::create_directories((tree / path).parent_path(), error);
  // Through a link that stands in the way nothing is written.
  if (error || fs::weakly_canonical((tree / path).parent_path(), error) != (tree / path).parent_path()) return;
  if (line[mark] == '>')
    fs::create_symlink(line.substr(mark + 1), tree / path, error);
  else if (!fs::is_symlink(tree / path, error))
    std::ofstream(tree / path) << line.substr(mark + 1) << "\n";
}

void Run(std::string_view bytes) {
  const Folder folder;
  const fs::path outside = folder.path() / "outside", tree = folder.path() / "tree";
  fs::create_directories(outside / "class/net/eth0");
  std::ofstream(outside / "secret") << kSecret << "\n";
  fs::create_directory(tree);
  Input input(bytes);
  for (int i = 0; i < kMostEntries && !input.empty(); ++i) Write(tree, std::string(input.TakeUntil("\n")));

  const auto machine = inventory::ReadFrom(tree, {});
  if (!machine.ok()) return;
  CheckMachine(*machine);
  if (bytes.find(kSecret) != std::string_view::npos) return;
  const std::string json = TopologyJson(*machine).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  MustHold(json.find(kSecret) == std::string::npos, "nothing outside of the copy is read");
}

const Harness kHarness("sysfs_tree", Run);

}  // namespace
}  // namespace netsense::fuzz
