#include "raylet_bridge/identity/raylet.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/status_macros.h"
#include "raylet_bridge/gcs/gcs_client.h"

namespace netsense {
namespace {

constexpr size_t kNodeIdDigits = 56;
constexpr size_t kLongestAddress = 1024;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Which network namespace a process is in; empty when we may not know.
std::string NetworkNamespace(const std::string& process_dir) {
  std::error_code error;
  auto target = std::filesystem::read_symlink(process_dir + "/ns/net", error);
  return error ? "" : target.string();
}

// Fills in what the arguments say; false when they are not a raylet's. Some of them hold whole command lines with flags
// of their own, so a flag counts only at the start of an argument.
bool ParseCommandLine(const std::string& command_line, RayletProcess& raylet) {
  const std::vector<std::string> arguments = absl::StrSplit(command_line, '\0');
  if (std::filesystem::path(arguments[0]).filename() != "raylet") return false;
  for (const std::string& argument : arguments) {
    auto take = [&argument](const std::string& flag, std::string& value) {
      if (argument.starts_with(flag)) value = argument.substr(flag.size());
    };
    take("--node_id=", raylet.node_id);
    take("--gcs-address=", raylet.gcs_address);
    take("--node_ip_address=", raylet.node_ip);
    take("--session_dir=", raylet.session_dir);
    if (argument == "--head") raylet.is_head = true;
  }
  raylet.node_id = absl::AsciiStrToLower(raylet.node_id);
  return raylet.node_id.size() == kNodeIdDigits &&
         std::all_of(raylet.node_id.begin(), raylet.node_id.end(), absl::ascii_isxdigit) &&
         CheckGcsAddress(raylet.gcs_address).ok();
}

std::string List(const std::vector<RayletProcess>& raylets) {
  std::string text;
  for (const auto& raylet : raylets)
    text += fmt::format("\n  pid {}  node ip {}  gcs {}  node {}{}", raylet.pid, Printable(raylet.node_ip),
                        Printable(raylet.gcs_address), raylet.node_id, raylet.is_head ? "  (head)" : "");
  return text;
}

std::vector<RayletProcess> PreferOwnNetwork(std::vector<RayletProcess> raylets) {
  auto elsewhere = [](const RayletProcess& raylet) { return !raylet.own_network; };
  if (!std::all_of(raylets.begin(), raylets.end(), elsewhere)) std::erase_if(raylets, elsewhere);
  return raylets;
}

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Where `ray start` of this user leaves the address of its cluster.
std::string CurrentClusterFile() {
  std::string directory = Env("RAY_TMPDIR");
  if (directory.empty()) directory = Env("TMPDIR");
  if (directory.empty()) directory = "/tmp";
  return directory + "/ray/ray_current_cluster";
}

}  // namespace

std::vector<RayletProcess> FindRaylets(const std::string& proc) {
  std::vector<RayletProcess> raylets;
  const std::string own_network = NetworkNamespace(proc + "/self");
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(proc, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename();
    RayletProcess raylet;
    auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), raylet.pid);
    if (bad != std::errc() || rest != name.data() + name.size()) continue;
    if (!ParseCommandLine(ReadFile(entry->path() / "cmdline"), raylet)) continue;
    raylet.own_network = !own_network.empty() && NetworkNamespace(entry->path()) == own_network;
    raylets.push_back(std::move(raylet));
  }
  std::sort(raylets.begin(), raylets.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return raylets;
}

absl::StatusOr<RayletProcess> ChooseRaylet(const std::vector<RayletProcess>& raylets,
                                           const RayletSelectors& selectors) {
  std::vector<RayletProcess> matching;
  for (const auto& raylet : raylets) {
    if (selectors.pid.value_or(raylet.pid) != raylet.pid) continue;
    if (selectors.node_ip.value_or(raylet.node_ip) != raylet.node_ip) continue;
    if (selectors.gcs_address.value_or(raylet.gcs_address) != raylet.gcs_address) continue;
    matching.push_back(raylet);
  }
  matching = PreferOwnNetwork(std::move(matching));
  if (matching.size() == 1) return matching[0];
  if (raylets.empty())
    return absl::NotFoundError(
        "no raylet runs on this host: start Ray first (ray start), or run without Ray by --standalone");
  if (matching.empty())
    return absl::NotFoundError("no raylet on this host matches --raylet-pid, --node-ip or --gcs-address; there are:" +
                               List(raylets));
  return absl::FailedPreconditionError(
      "several raylets run on this host; choose one by --raylet-pid, --node-ip or --gcs-address:" + List(matching));
}

absl::StatusOr<std::string> FindGcsAddress(const std::string& flag, const std::string& proc) {
  if (!flag.empty()) {
    RETURN_IF_ERROR(CheckGcsAddress(flag));
    return flag;
  }
  if (auto address = Env("RAY_ADDRESS"); CheckGcsAddress(address).ok()) return address;
  const auto raylets = PreferOwnNetwork(FindRaylets(proc));
  std::set<std::string> addresses;
  for (const auto& raylet : raylets) addresses.insert(raylet.gcs_address);
  if (addresses.size() == 1) return *addresses.begin();
  if (addresses.size() > 1)
    return absl::FailedPreconditionError("raylets of several clusters run on this host; choose one by --gcs-address:" +
                                         List(raylets));
  // In a folder where everybody may write: the token is sent to whom it names.
  const std::string path = CurrentClusterFile();
  auto file = OpenToRead(path);
  const absl::Status trusted = file.ok() ? CheckTrusted(file->get(), path) : absl::OkStatus();
  if (file.ok() && trusted.ok()) {
    std::string left(absl::StripAsciiWhitespace(ReadUpTo(kLongestAddress, file->get())));
    if (CheckGcsAddress(left).ok()) return left;
  }
  return absl::NotFoundError(fmt::format(
      "no GCS was named and none was found{}: give --gcs-address host:port, or set RAY_ADDRESS, or start Ray on this "
      "host",
      trusted.ok() ? "" : fmt::format(" ({})", std::string(trusted.message()))));
}

}  // namespace netsense
