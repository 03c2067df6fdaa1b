// The two gRPC services of the embedded GCS, which alone includes this: what they hold and refuse stands in
// embedded_gcs.h.
#pragma once

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <openssl/rand.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/bearer.h"
#include "base/clock.h"
#include "base/token_ring.h"
#include "ray/gcs.grpc.pb.h"

namespace netsense::embedded_gcs {

using grpc::ServerContext;
using ray::rpc::GcsNodeInfo;
using ray::rpc::NodeDeathInfo;

inline constexpr size_t kNodeIdBytes = 28;
inline constexpr size_t kMaxNodes = 10'000;
inline constexpr size_t kMaxNodeBytes = 4 << 10;
inline constexpr std::chrono::hours kForgetDeadAfter{1};
inline constexpr size_t kMaxKeys = 100'000;
inline constexpr size_t kMaxKeyBytes = 1 << 10;
inline constexpr size_t kMaxValueBytes = 1 << 20;
inline constexpr size_t kMaxTableBytes = 1 << 30;
inline constexpr int kNotFound = 17;  // Ray's code for an absent key

inline grpc::Status TooMuch(const std::string& what) { return {grpc::StatusCode::RESOURCE_EXHAUSTED, what}; }
inline grpc::Status Wrong(const std::string& what) { return {grpc::StatusCode::INVALID_ARGUMENT, what}; }

// Who may call, where a connection alone proves nothing.
class Gate {
 public:
  // Empty = whoever has a connection.
  explicit Gate(TokenRing tokens) : tokens_(std::move(tokens)) {}

  grpc::Status Check(const ServerContext& context) const {
    if (tokens_.empty()) return grpc::Status::OK;
    auto shown = context.client_metadata().find("authorization");
    if (shown == context.client_metadata().end())
      return {grpc::StatusCode::UNAUTHENTICATED, "the call carries no token"};
    const bool same = ShowsToken({shown->second.data(), shown->second.size()}, tokens_);
    return same ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "the token is not the cluster's");
  }

 private:
  const TokenRing tokens_;
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

}  // namespace netsense::embedded_gcs
