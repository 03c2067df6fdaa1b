#include "raylet_bridge/gcs/embedded_gcs.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "ray/gcs.grpc.pb.h"
#include "raylet_bridge/gcs/tls.h"

namespace netsense {
namespace {

using grpc::ServerContext;
using ray::rpc::GcsNodeInfo;
using ray::rpc::NodeDeathInfo;

constexpr size_t kNodeIdBytes = 28;
constexpr size_t kMaxNodes = 10'000;
constexpr size_t kMaxNodeBytes = 4 << 10;
constexpr std::chrono::hours kForgetDeadAfter{1};
constexpr size_t kMaxKeys = 100'000;
constexpr size_t kMaxKeyBytes = 1 << 10;
constexpr size_t kMaxValueBytes = 1 << 20;
constexpr size_t kMaxTableBytes = 1 << 30;
constexpr int kMaxRequestBytes = 2 << 20;
constexpr int kMaxMetadataBytes = 8 << 10;
constexpr int kMaxThreads = 32;
constexpr int kNotFound = 17;  // Ray's code for an absent key

grpc::Status TooMuch(const std::string& what) { return {grpc::StatusCode::RESOURCE_EXHAUSTED, what}; }
grpc::Status Wrong(const std::string& what) { return {grpc::StatusCode::INVALID_ARGUMENT, what}; }

// Who may call.
class Gate {
 public:
  explicit Gate(const std::string& token) : wanted_(token.empty() ? "" : "Bearer " + token) {}

  grpc::Status Check(const ServerContext& context) const {
    if (wanted_.empty()) return grpc::Status::OK;
    auto shown = context.client_metadata().find("authorization");
    if (shown == context.client_metadata().end())
      return {grpc::StatusCode::UNAUTHENTICATED, "the call carries no token"};
    bool same = shown->second.size() == wanted_.size() &&
                CRYPTO_memcmp(shown->second.data(), wanted_.data(), wanted_.size()) == 0;
    return same ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "the token is not the cluster's");
  }

 private:
  const std::string wanted_;
};

class NodeTable final : public ray::rpc::NodeInfoGcsService::Service {
 public:
  NodeTable(const Gate& gate, std::chrono::milliseconds node_timeout, std::function<MonotonicTime()> clock)
      : gate_(gate), node_timeout_(node_timeout), clock_(std::move(clock)), cluster_id_(kNodeIdBytes, '\0') {
    RAND_bytes(reinterpret_cast<unsigned char*>(cluster_id_.data()), static_cast<int>(cluster_id_.size()));
  }

  grpc::Status GetClusterId(ServerContext* context, const ray::rpc::GetClusterIdRequest*,
                            ray::rpc::GetClusterIdReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    reply->set_cluster_id(cluster_id_);
    return grpc::Status::OK;
  }

  grpc::Status GetAllNodeInfo(ServerContext* context, const ray::rpc::GetAllNodeInfoRequest* request,
                              ray::rpc::GetAllNodeInfoReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    ExpireNodes();
    for (const auto& [id, node] : nodes_) {
      bool wanted = !request->has_state_filter() || node.info.state() == request->state_filter();
      if (!wanted)
        reply->set_num_filtered(reply->num_filtered() + 1);
      else if (!request->has_limit() || reply->node_info_list_size() < request->limit())
        *reply->add_node_info_list() = node.info;
    }
    reply->set_total(static_cast<int64_t>(nodes_.size()));
    return grpc::Status::OK;
  }

  grpc::Status RegisterNode(ServerContext* context, const ray::rpc::RegisterNodeRequest* request,
                            ray::rpc::RegisterNodeReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    const GcsNodeInfo& info = request->node_info();
    if (info.node_id().size() != kNodeIdBytes) return Wrong("node_id must be 28 bytes");
    if (info.ByteSizeLong() > kMaxNodeBytes) return Wrong("node_info must be at most 4 KiB");
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    if (nodes_.size() >= kMaxNodes && !nodes_.contains(info.node_id())) {
      ExpireNodes();
      if (nodes_.size() >= kMaxNodes) return TooMuch("there are 10,000 nodes already");
    }
    Node& node = nodes_[info.node_id()];
    node.info = info;
    node.info.set_state(GcsNodeInfo::ALIVE);
    node.info.clear_end_time_ms();
    node.info.clear_death_info();
    node.last_heard = clock_();
    return grpc::Status::OK;
  }

  grpc::Status UnregisterNode(ServerContext* context, const ray::rpc::UnregisterNodeRequest* request,
                              ray::rpc::UnregisterNodeReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    if (request->node_id().size() != kNodeIdBytes) return Wrong("node_id must be 28 bytes");
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    auto node = nodes_.find(request->node_id());
    if (node != nodes_.end() && node->second.info.state() == GcsNodeInfo::ALIVE)
      Die(node->second, NodeDeathInfo::EXPECTED_TERMINATION, "it left by itself");
    return grpc::Status::OK;
  }

 private:
  struct Node {
    GcsNodeInfo info;
    MonotonicTime last_heard;
    MonotonicTime died_at;  // when DEAD
  };

  // These two need mutex_.
  void Die(Node& node, NodeDeathInfo::Reason reason, const std::string& words) {
    node.info.set_state(GcsNodeInfo::DEAD);
    node.info.mutable_death_info()->set_reason(reason);
    node.info.mutable_death_info()->set_reason_message(words);
    node.info.set_end_time_ms(static_cast<uint64_t>(EpochMillis()));
    node.died_at = clock_();
  }

  void ExpireNodes() {
    const MonotonicTime now = clock_();
    for (auto& [id, node] : nodes_)
      if (node.info.state() == GcsNodeInfo::ALIVE && now - node.last_heard > node_timeout_)
        Die(node, NodeDeathInfo::UNEXPECTED_TERMINATION, fmt::format("no heartbeat for {} ms", node_timeout_.count()));
    std::erase_if(nodes_, [now](const auto& entry) {
      return entry.second.info.state() == GcsNodeInfo::DEAD && now - entry.second.died_at > kForgetDeadAfter;
    });
  }

  const Gate& gate_;
  const std::chrono::milliseconds node_timeout_;
  const std::function<MonotonicTime()> clock_;
  std::string cluster_id_;
  std::mutex mutex_;
  std::map<std::string, Node> nodes_;  // by raw id; guarded by mutex_
};

class KeyValueTable final : public ray::rpc::InternalKVGcsService::Service {
 public:
  explicit KeyValueTable(const Gate& gate) : gate_(gate) {}

  grpc::Status InternalKVGet(ServerContext* context, const ray::rpc::InternalKVGetRequest* request,
                             ray::rpc::InternalKVGetReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    auto entry = values_.find({request->namespace_(), request->key()});
    if (entry == values_.end()) {
      reply->mutable_status()->set_code(kNotFound);
      reply->mutable_status()->set_message("Failed to find the key");
    } else {
      reply->set_value(entry->second);
    }
    return grpc::Status::OK;
  }

  grpc::Status InternalKVMultiGet(ServerContext* context, const ray::rpc::InternalKVMultiGetRequest* request,
                                  ray::rpc::InternalKVMultiGetReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    const std::set<std::string> keys(request->keys().begin(), request->keys().end());
    std::lock_guard lock(mutex_);
    for (const std::string& key : keys) {
      auto entry = values_.find({request->namespace_(), key});
      if (entry == values_.end()) continue;
      auto* result = reply->add_results();
      result->set_key(key);
      result->set_value(entry->second);
    }
    return grpc::Status::OK;
  }

  grpc::Status InternalKVPut(ServerContext* context, const ray::rpc::InternalKVPutRequest* request,
                             ray::rpc::InternalKVPutReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    if (request->namespace_().size() + request->key().size() > kMaxKeyBytes)
      return Wrong("namespace and key must be at most 1 KiB");
    if (request->value().size() > kMaxValueBytes) return Wrong("a value must be at most 1 MiB");
    reply->mutable_status();
    const Key key{request->namespace_(), request->key()};
    std::lock_guard lock(mutex_);
    auto entry = values_.find(key);
    const bool present = entry != values_.end();
    if (present && !request->overwrite()) return grpc::Status::OK;
    if (!present && values_.size() >= kMaxKeys) return TooMuch("there are 100,000 keys already");
    const size_t bytes = bytes_ - (present ? entry->second.size() : 0) + request->value().size();
    if (bytes > kMaxTableBytes) return TooMuch("the table holds 1 GiB already");
    bytes_ = bytes;
    values_.insert_or_assign(key, request->value());
    reply->set_added(!present);
    return grpc::Status::OK;
  }

  grpc::Status InternalKVDel(ServerContext* context, const ray::rpc::InternalKVDelRequest* request,
                             ray::rpc::InternalKVDelReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    auto entry = values_.lower_bound({request->namespace_(), request->key()});
    while (entry != values_.end() && entry->first.first == request->namespace_()) {
      const std::string& key = entry->first.second;
      if (request->del_by_prefix() ? !key.starts_with(request->key()) : key != request->key()) break;
      bytes_ -= entry->second.size();
      entry = values_.erase(entry);
      reply->set_deleted_num(reply->deleted_num() + 1);
    }
    return grpc::Status::OK;
  }

  grpc::Status InternalKVKeys(ServerContext* context, const ray::rpc::InternalKVKeysRequest* request,
                              ray::rpc::InternalKVKeysReply* reply) override {
    if (auto allowed = gate_.Check(*context); !allowed.ok()) return allowed;
    reply->mutable_status();
    std::lock_guard lock(mutex_);
    for (auto entry = values_.lower_bound({request->namespace_(), request->prefix()});
         entry != values_.end() && entry->first.first == request->namespace_(); ++entry) {
      if (!entry->first.second.starts_with(request->prefix())) break;
      reply->add_results(entry->first.second);
    }
    return grpc::Status::OK;
  }

 private:
  using Key = std::pair<std::string, std::string>;  // namespace, key

  const Gate& gate_;
  std::mutex mutex_;
  std::map<Key, std::string> values_;  // guarded by mutex_
  size_t bytes_ = 0;                   // of all values; guarded by mutex_
};

}  // namespace

class EmbeddedGcs::Server {
 public:
  explicit Server(const Options& options)
      : gate_(options.token), nodes_(gate_, options.node_timeout, options.clock), kv_(gate_) {}

  ~Server() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen(const std::string& listen) {
    auto tls = TlsFromEnvironment();
    if (!tls.ok()) return tls.status();
    auto credentials = grpc::InsecureServerCredentials();
    if (tls->has_value()) {
      grpc::SslServerCredentialsOptions mutual(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
      mutual.pem_root_certs = (*tls)->ca;
      mutual.pem_key_cert_pairs.push_back({(*tls)->key, (*tls)->certificate});
      credentials = grpc::SslServerCredentials(mutual);
    }
    grpc::ResourceQuota quota;
    quota.SetMaxThreads(kMaxThreads);
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 100);
    // Without this a second server on the port would quietly take half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(listen, credentials, &port_);
    builder.RegisterService(&nodes_);
    builder.RegisterService(&kv_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0)
      return absl::UnavailableError(fmt::format(
          "the embedded GCS cannot listen on {}: the port is taken, or the address is not this host's", listen));
    return absl::OkStatus();
  }

  uint16_t port() const { return static_cast<uint16_t>(port_); }

 private:
  const Gate gate_;
  NodeTable nodes_;
  KeyValueTable kv_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

EmbeddedGcs::EmbeddedGcs(std::unique_ptr<Server> server) : server_(std::move(server)) {}
EmbeddedGcs::~EmbeddedGcs() = default;

uint16_t EmbeddedGcs::port() const { return server_->port(); }

absl::StatusOr<std::unique_ptr<EmbeddedGcs>> EmbeddedGcs::Start(const Options& options) {
  auto server = std::make_unique<Server>(options);
  if (auto listening = server->Listen(options.listen); !listening.ok()) return listening;
  return std::unique_ptr<EmbeddedGcs>(new EmbeddedGcs(std::move(server)));
}

}  // namespace netsense
