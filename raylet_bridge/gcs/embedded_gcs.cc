#include "raylet_bridge/gcs/embedded_gcs.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/handshake/handshake_server.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "raylet_bridge/gcs/embedded_tables.h"
#include "raylet_bridge/gcs/tls.h"

namespace netsense {
namespace {

constexpr int kMaxRequestBytes = (1 << 20) + (64 << 10);  // a value, and its key
constexpr int kMaxMetadataBytes = 8 << 10;
constexpr int kMaxThreads = 32;
constexpr int kMaxStreams = 4;              // of one connection at a time
constexpr size_t kQuotaBytes = 64 << 20;    // of gRPC's own buffers, which it heeds as it can
constexpr std::chrono::minutes kMaxAge{5};  // of a connection: whoever still needs it makes another
constexpr std::chrono::minutes kWarnEvery{1};
constexpr std::chrono::seconds kLastCalls{5};  // after that

// How many connections that were handed to gRPC are still open, by address. Used by one thread.
class OpenConnections {
 public:
  explicit OpenConnections(size_t most) : most_(most) {}

  // False: the address has too many already.
  bool Add(int fd, const std::string& address) {
    if (by_address_.size() >= kManyAddresses)
      std::erase_if(by_address_,
                    [](const auto& one) { return std::all_of(one.second.begin(), one.second.end(), IsClosed); });
    std::vector<Socket>& of_it = by_address_[address];
    if (of_it.size() >= most_) std::erase_if(of_it, IsClosed);
    if (of_it.size() >= most_) return false;
    of_it.push_back({fd, InodeOf(fd)});
    return true;
  }

 private:
  struct Socket {
    int fd;
    ino_t inode;  // the number may be another socket's by now
  };
  static ino_t InodeOf(int fd) {
    struct stat status {};
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
  }
  static bool IsClosed(const Socket& socket) { return InodeOf(socket.fd) != socket.inode; }

  static constexpr size_t kManyAddresses = 4096;  // then those that left are forgotten
  const size_t most_;
  std::map<std::string, std::vector<Socket>> by_address_;
};

}  // namespace

class EmbeddedGcs::Server {
 public:
  Server(const Options& options, std::optional<TlsIdentity> tls)
      : options_(options),
        tls_(std::move(tls)),
        gate_(tls_ || options.allow_plain ? options.token : TokenRing()),
        nodes_(gate_, options.node_timeout, options.clock),
        kv_(gate_) {}

  ~Server() {
    door_.reset();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen() {
    ASSIGN_OR_RETURN(auto at, ParseHostPort(options_.listen));
    auto listener = ListenTcp({at.host}, at.port);
    if (!listener.ok())
      return absl::UnavailableError(
          fmt::format("the embedded GCS cannot listen on {}: the port is taken, or the address is not this host's ({})",
                      options_.listen, std::string(listener.status().message())));
    port_ = LocalPort(listener->get());
    grpc::ResourceQuota quota;
    quota.SetMaxThreads(kMaxThreads);
    quota.Resize(kQuotaBytes);
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 << 10);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(kMaxAge / std::chrono::milliseconds(1)));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                               static_cast<int>(kLastCalls / std::chrono::milliseconds(1)));
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, static_cast<int>(deadlines::kHandshake().count()));
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, Credentials());
    builder.RegisterService(&nodes_);
    builder.RegisterService(&kv_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::UnavailableError("the embedded GCS could not be started (see gRPC's log)");
    std::vector<UniqueFd> listeners;
    listeners.push_back(*std::move(listener));
    door_.emplace(
        HandshakeServer::Options{.what = "the embedded GCS",
                                 .token = options_.token,
                                 .takes_http2 = options_.allow_plain,
                                 .http2_hint = "it speaks plain gRPC, as a bridge of an older release does: upgrade "
                                               "it, or start this head with --gcs-allow-plain until all are",
                                 .proven_elsewhere = tls_.has_value()},
        std::move(listeners), [this](HandshakeServer::Admitted admitted) { return Take(std::move(admitted)); });
    return absl::OkStatus();
  }

  uint16_t port() const { return port_; }

 private:
  std::shared_ptr<grpc::ServerCredentials> Credentials() const {
    if (!tls_) return grpc::InsecureServerCredentials();
    grpc::SslServerCredentialsOptions mutual(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    mutual.pem_root_certs = tls_->ca;
    mutual.pem_key_cert_pairs.push_back({tls_->key, tls_->certificate});
    return grpc::SslServerCredentials(mutual);
  }

  std::string Take(HandshakeServer::Admitted admitted) {
    if (!open_.Add(admitted.fd.get(), admitted.peer)) {
      if (MonotonicNow() >= next_warning_)
        spdlog::warn("the embedded GCS: {} has {} connections already; no more are taken from there", admitted.peer,
                     options_.max_connections_per_address);
      next_warning_ = std::max(next_warning_, MonotonicNow() + kWarnEvery);
      return "too many connections from this address";
    }
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = admitted.fd.Release();
    acceptor_->HandleNewConnection(&connection);
    return "";
  }

  const Options options_;
  const std::optional<TlsIdentity> tls_;
  const embedded_gcs::Gate gate_;
  embedded_gcs::NodeTable nodes_;
  embedded_gcs::KeyValueTable kv_;
  uint16_t port_ = 0;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  OpenConnections open_{options_.max_connections_per_address};
  MonotonicTime next_warning_{};
  std::optional<HandshakeServer> door_;
};

EmbeddedGcs::EmbeddedGcs(std::unique_ptr<Server> server) : server_(std::move(server)) {}
EmbeddedGcs::~EmbeddedGcs() = default;

uint16_t EmbeddedGcs::port() const { return server_->port(); }

absl::StatusOr<std::unique_ptr<EmbeddedGcs>> EmbeddedGcs::Start(const Options& options) {
  ASSIGN_OR_RETURN(auto tls, TlsFromEnvironment());
  auto server = std::make_unique<Server>(options, std::move(tls));
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<EmbeddedGcs>(new EmbeddedGcs(std::move(server)));
}

}  // namespace netsense
