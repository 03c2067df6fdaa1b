#include "raylet_bridge/bridge_setup.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"

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
  auto listen = ParseListen(text, "--gcs-listen");
  if (!listen.ok()) return listen.status();
  if (auto safe = CheckExposure("the embedded GCS", listen->host, setup); !safe.ok()) return safe;
  auto embedded = EmbeddedGcs::Start({.listen = text, .token = setup.token.secret});
  if (!embedded.ok()) return embedded.status();
  setup.embedded = *std::move(embedded);
  const bool everywhere = IsUnspecified(listen->host);
  setup.self.gcs_address = FormatHostPort(everywhere ? address : listen->host, setup.embedded->port());
  spdlog::info("serving the embedded GCS; other nodes join by: netsense-bridge run --standalone --gcs-address {}",
               setup.self.gcs_address);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BridgeSetup> PrepareBridge(const BridgeOptions& options) {
  BridgeSetup setup;
  setup.options = options;
  auto settings = ResolveSettings(options.sources);
  if (!settings.ok()) return settings.status();
  setup.settings = *std::move(settings);
  auto self = FindIdentity(options.identity);
  if (!self.ok()) return self.status();
  setup.self = *std::move(self);
  auto token = FindToken(options.token_file);
  if (!token.ok()) return token.status();
  setup.token = *std::move(token);
  if (options.engine_socket.empty())
    if (auto safe = CheckExposure("the door", setup.self.address, setup); !safe.ok()) return safe;
  std::string http_host = setup.self.address;
  if (!options.http_listen.empty()) {
    auto listen = ParseListen(options.http_listen, "--http-listen");
    if (!listen.ok()) return listen.status();
    http_host = listen->host;
  }
  if (auto safe = CheckExposure("HTTP", http_host, setup); !safe.ok()) return safe;
  if (setup.self.gcs_address.empty())
    if (auto served = ServeGcs(setup); !served.ok()) return served;

  GcsClientOptions gcs{.address = setup.self.gcs_address, .token_file = options.token_file};
  auto reader = GcsClient::Create(gcs);
  if (!reader.ok()) return reader.status();
  setup.gcs = *std::move(reader);
  gcs.timeout = deadlines::kGcsWrite();
  auto writer = GcsClient::Create(gcs);
  if (!writer.ok()) return writer.status();
  setup.writer_gcs = *std::move(writer);
  return setup;
}

}  // namespace netsense
