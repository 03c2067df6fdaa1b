#include "raylet_bridge/engine_link/engine_host.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/process.h"
#include "raylet_bridge/engine_link/engine_client.h"
#include "raylet_bridge/identity/node_identity.h"

namespace netsense {
namespace {

std::string RuntimeDirectory() {
  auto env = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (auto ours = env("NETSENSE_RUNTIME_DIR"); !ours.empty()) return ours;
  if (geteuid() == 0) return "/run/netsense";
  if (auto xdg = env("XDG_RUNTIME_DIR"); !xdg.empty()) return xdg + "/netsense";
  return "/tmp/netsense-" + std::to_string(geteuid());
}

std::string ControlSocketPath(const std::string& node_id) {
  return RuntimeDirectory() + "/" + node_id + "/engine.sock";
}

bool IsPortTaken(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
  addrinfo* raw = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw) != 0) return false;
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, &freeaddrinfo);
  UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 && errno == EADDRINUSE;
}

}  // namespace

absl::Status PrepareRuntimeDirectory() {
  return MakeTrustedFolder(RuntimeDirectory(), "choose another by NETSENSE_RUNTIME_DIR");
}

EngineHost::EngineHost(Options options)
    : options_(std::move(options)),
      socket_path_(options_.external_socket.empty() ? ControlSocketPath(options_.node_id) : options_.external_socket) {}

std::unique_ptr<EngineHost> EngineHost::Start(Options options) {
  std::unique_ptr<EngineHost> host(new EngineHost(std::move(options)));
  if (!host->options_.external_socket.empty()) return host;
  EngineProcess::Options process;
  process.program = host->options_.program.empty() ? FindEngineProgram() : host->options_.program;
  process.arguments = [raw = host.get()] { return raw->Arguments(); };
  process.adopt_pid = host->FindEngineToAdopt();
  host->process_ = std::make_unique<EngineProcess>(std::move(process));
  return host;
}

EngineHost::~EngineHost() {
  if (process_ == nullptr) return;
  process_.reset();
  // What an engine leaves: its lock file, and its socket when it was killed. The directories go only when empty.
  std::error_code ignored;
  std::filesystem::remove(socket_path_, ignored);
  std::filesystem::remove(socket_path_ + ".lock", ignored);
  const auto directory = std::filesystem::path(socket_path_).parent_path();
  std::filesystem::remove(directory, ignored);
  std::filesystem::remove(directory.parent_path(), ignored);
}

void EngineHost::RequestStop() {
  if (process_ != nullptr) process_->RequestStop();
}

std::vector<std::string> EngineHost::Arguments() const {
  uint16_t port = options_.door_port;
  if (options_.any_port_if_taken && port != 0 && IsPortTaken(options_.door_address, port)) {
    spdlog::warn("port {} on {} is taken: the door takes any free port (choose one by --network-sense-door-port)", port,
                 options_.door_address);
    port = 0;
  }
  std::vector<std::string> words = {"--control-socket",
                                    socket_path_,
                                    "--listen",
                                    FormatHostPort(options_.door_address, port),
                                    "--exit-without-lease",
                                    std::to_string(deadlines::kNextBridge().count() / 1000)};
  if (!options_.token_file.empty()) words.insert(words.end(), {"--token-file", options_.token_file});
  if (options_.rails.mode == Selection::Mode::kByHand) words.insert(words.end(), {"--rails", options_.rails.Text()});
  if (options_.cpus.is_off()) words.push_back("--no-pin");
  if (options_.cpus.mode == Selection::Mode::kByHand) words.insert(words.end(), {"--cpus", options_.cpus.Text()});
  if (options_.listen_on_rails) words.push_back("--listen-on-rails");
  if (options_.insecure) words.push_back("--insecure");
  if (!options_.log_level.empty()) words.insert(words.end(), {"--log-level", options_.log_level});
  return words;
}

int EngineHost::FindEngineToAdopt() const {
  auto client = EngineClient::Connect(socket_path_);
  if (!client.ok()) return 0;
  auto info = (*client)->GetInfo({});
  if (!info.ok() || info->pid() <= 1) return 0;
  bool right_port = options_.door_port == 0 || options_.any_port_if_taken || info->door_port() == options_.door_port;
  if (info->software_version() == NETSENSE_VERSION && info->door_address() == options_.door_address && right_port &&
      info->door_requires_token() == options_.has_token) {
    spdlog::info("adopting the engine that runs already (pid {})", info->pid());
    return info->pid();
  }
  spdlog::info("an engine with another door or version runs already (pid {}): replacing it", info->pid());
  EndProcess(OpenPidFd(info->pid()));
  return 0;
}

}  // namespace netsense
