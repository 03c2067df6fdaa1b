#include "raylet_bridge/bridge_setup.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "base/token_watch.h"
#include "raylet_bridge/engine_link/engine_host.h"

namespace netsense {
namespace {

constexpr int kDefaultGcsPort = 18592;

absl::Status CheckExposure(const std::string& what, const std::string& address, const BridgeSetup& setup) {
  if (!setup.token.secret.empty() || setup.options.insecure || IsLoopback(address)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("no token was found, and {} on {} can be reached from other hosts. Give every node of the cluster "
                  "the same token (by "
                  "--token-file, NETSENSE_TOKEN_FILE, RAY_AUTH_TOKEN or ~/.ray/auth_token), or pass --insecure to "
                  "serve whoever can reach it",
                  what, address));
}

// What is written there was chosen, so all addresses are not chosen by leaving something out.
absl::StatusOr<HostPort> ParseListen(const std::string& text, const char* flag) {
  auto listen = ParseHostPort(text, flag);
  if (listen.ok() && listen->host.empty())
    return absl::InvalidArgumentError(
        fmt::format("{} '{}': the address is missing; 0.0.0.0 is all of them", flag, text));
  return listen;
}

absl::Status ServeGcs(BridgeSetup& setup) {
  const std::string& address = setup.self.address;
  const std::string text =
      setup.options.gcs_listen.empty() ? FormatHostPort(address, kDefaultGcsPort) : setup.options.gcs_listen;
  ASSIGN_OR_RETURN(auto listen, ParseListen(text, "--gcs-listen"));
  RETURN_IF_ERROR(CheckExposure("the embedded GCS", listen.host, setup));
  ASSIGN_OR_RETURN(
      setup.embedded,
      EmbeddedGcs::Start({.listen = text, .token = setup.tokens, .allow_plain = setup.options.gcs_allow_plain}));
  const bool everywhere = IsUnspecified(listen.host);
  setup.self.gcs_address = FormatHostPort(everywhere ? address : listen.host, setup.embedded->port());
  spdlog::info("serving the embedded GCS; other nodes join by: netsense-bridge run --standalone --gcs-address {}",
               setup.self.gcs_address);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BridgeSetup> PrepareBridge(const BridgeOptions& options) {
  BridgeSetup setup;
  setup.options = options;
  ASSIGN_OR_RETURN(setup.settings, ResolveSettings(options.sources));
  ASSIGN_OR_RETURN(setup.self, FindIdentity(options.identity));
  ASSIGN_OR_RETURN(setup.token, FindToken(options.token_file));
  setup.tokens = RingOf(setup.token);
  if (options.engine_socket.empty()) {
    RETURN_IF_ERROR(CheckExposure("the door", setup.self.address, setup));
    RETURN_IF_ERROR(PrepareRuntimeDirectory());
  }
  std::string http_host = setup.self.address;
  if (!options.http_listen.empty()) {
    ASSIGN_OR_RETURN(auto listen, ParseListen(options.http_listen, "--http-listen"));
    http_host = listen.host;
  }
  RETURN_IF_ERROR(CheckExposure("HTTP", http_host, setup));
  if (setup.self.gcs_address.empty()) RETURN_IF_ERROR(ServeGcs(setup));

  GcsClientOptions gcs{.address = setup.self.gcs_address, .token_file = options.token_file};
  gcs.allow_plain = !setup.standalone() || options.gcs_allow_plain;
  ASSIGN_OR_RETURN(setup.gcs, GcsClient::Create(gcs));
  gcs.timeout = deadlines::kGcsWrite();
  ASSIGN_OR_RETURN(setup.writer_gcs, GcsClient::Create(gcs));
  return setup;
}

}  // namespace netsense
