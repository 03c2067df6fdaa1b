#include "raylet_bridge/gcs/gcs_client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "ray/gcs.grpc.pb.h"
#include "raylet_bridge/gcs/tls.h"

namespace netsense {
namespace {

using ray::rpc::InternalKVGcsService;
using ray::rpc::NodeInfoGcsService;
using std::chrono::milliseconds;

constexpr char kNamespace[] = "network_sense";
constexpr size_t kNodeIdBytes = 28;
constexpr int kGcsNotFound = 17;
constexpr int kMaxReceiveBytes = 512 << 20;
// A call that was on its way when the GCS went is tried once more: every call of ours may be repeated.
constexpr char kRetryOnce[] = R"({"methodConfig": [{"name": [{}], "retryPolicy": {
    "maxAttempts": 2, "initialBackoff": "0.05s", "maxBackoff": "0.05s", "backoffMultiplier": 1,
    "retryableStatusCodes": ["UNAVAILABLE"]}}]})";

absl::StatusOr<std::string> NodeIdToBytes(const std::string& node_id) {
  bool hex = node_id.size() == 2 * kNodeIdBytes && std::all_of(node_id.begin(), node_id.end(), absl::ascii_isxdigit);
  if (!hex)
    return absl::InvalidArgumentError(
        fmt::format("'{}' is no node id: it must be {} hex digits", Printable(node_id), 2 * kNodeIdBytes));
  return absl::HexStringToBytes(node_id);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address) {
  ASSIGN_OR_RETURN(auto tls, TlsFromEnvironment());
  auto credentials = grpc::InsecureChannelCredentials();
  if (tls.has_value()) credentials = grpc::SslCredentials({tls->ca, tls->key, tls->certificate});
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetServiceConfigJSON(kRetryOnce);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);  // a GCS drops clients that ask more often
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(deadlines::kGcsKeepalive().count()));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// The autoscaler's name for nodes that are alike, KubeRay's worker group.
std::string GroupOf(const ray::rpc::GcsNodeInfo& info) {
  if (!info.node_type_name().empty()) return info.node_type_name();
  auto label = info.labels().find("ray.io/node-group");
  return label == info.labels().end() ? "" : label->second;
}

bool LeftInOrder(const ray::rpc::NodeDeathInfo& death) {
  return death.reason() == ray::rpc::NodeDeathInfo::EXPECTED_TERMINATION ||
         death.reason() == ray::rpc::NodeDeathInfo::AUTOSCALER_DRAIN_PREEMPTED ||
         death.reason() == ray::rpc::NodeDeathInfo::AUTOSCALER_DRAIN_IDLE;
}

class GrpcGcsClient : public GcsClient {
 public:
  GrpcGcsClient(GcsClientOptions options, std::shared_ptr<grpc::Channel> channel, Token token)
      : options_(std::move(options)),
        channel_(std::move(channel)),
        nodes_(NodeInfoGcsService::NewStub(channel_)),
        kv_(InternalKVGcsService::NewStub(channel_)),
        token_(std::move(token)) {}

  const std::string& address() const override { return options_.address; }

  absl::StatusOr<std::vector<ClusterNode>> AliveNodes() override {
    ray::rpc::GetAllNodeInfoRequest request;
    request.set_state_filter(ray::rpc::GcsNodeInfo::ALIVE);
    return ListNodes(request);
  }

  absl::StatusOr<std::vector<ClusterNode>> AllNodes() override { return ListNodes({}); }

  absl::Status RegisterNode(const ClusterNode& node) override {
    ASSIGN_OR_RETURN(auto id, NodeIdToBytes(node.node_id));
    ray::rpc::RegisterNodeRequest request;
    auto* info = request.mutable_node_info();
    info->set_node_id(id);
    info->set_node_manager_address(node.address);
    info->set_node_manager_hostname(node.hostname);
    info->set_is_head_node(node.is_head);
    info->set_start_time_ms(node.start_time_ms);
    ray::rpc::RegisterNodeReply reply;
    return Call(*nodes_, &NodeInfoGcsService::Stub::RegisterNode, request, reply);
  }

  absl::Status UnregisterNode(const std::string& node_id) override {
    ASSIGN_OR_RETURN(auto id, NodeIdToBytes(node_id));
    ray::rpc::UnregisterNodeRequest request;
    request.set_node_id(id);
    ray::rpc::UnregisterNodeReply reply;
    return Call(*nodes_, &NodeInfoGcsService::Stub::UnregisterNode, request, reply);
  }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    ray::rpc::InternalKVGetRequest request;
    request.set_key(key);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVGetReply reply;
    auto status = Call(*kv_, &InternalKVGcsService::Stub::InternalKVGet, request, reply);
    if (absl::IsNotFound(status)) return std::nullopt;
    if (!status.ok()) return status;
    return std::move(*reply.mutable_value());
  }

  absl::StatusOr<std::map<std::string, std::string>> MultiGet(const std::vector<std::string>& keys) override {
    std::map<std::string, std::string> found;
    if (keys.empty()) return found;
    ray::rpc::InternalKVMultiGetRequest request;
    request.set_namespace_(kNamespace);
    // Each key once: a GCS that keeps its tables in Redis never answers a call that names a key twice, nor a later one
    // for that key.
    const std::set<std::string> distinct(keys.begin(), keys.end());
    request.mutable_keys()->Add(distinct.begin(), distinct.end());
    ray::rpc::InternalKVMultiGetReply reply;
    RETURN_IF_ERROR(Call(*kv_, &InternalKVGcsService::Stub::InternalKVMultiGet, request, reply));
    for (auto& entry : *reply.mutable_results()) found[entry.key()] = std::move(*entry.mutable_value());
    return found;
  }

  absl::Status Put(const std::string& key, const std::string& value) override {
    ray::rpc::InternalKVPutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_overwrite(true);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVPutReply reply;
    return Call(*kv_, &InternalKVGcsService::Stub::InternalKVPut, request, reply);
  }

  absl::Status Delete(const std::string& key) override {
    ray::rpc::InternalKVDelRequest request;
    request.set_key(key);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVDelReply reply;
    return Call(*kv_, &InternalKVGcsService::Stub::InternalKVDel, request, reply);
  }

  absl::StatusOr<std::vector<std::string>> KeysWithPrefix(const std::string& prefix) override {
    ray::rpc::InternalKVKeysRequest request;
    request.set_prefix(prefix);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVKeysReply reply;
    RETURN_IF_ERROR(Call(*kv_, &InternalKVGcsService::Stub::InternalKVKeys, request, reply));
    return std::vector<std::string>(reply.results().begin(), reply.results().end());
  }

 private:
  absl::StatusOr<std::vector<ClusterNode>> ListNodes(const ray::rpc::GetAllNodeInfoRequest& request) {
    ray::rpc::GetAllNodeInfoReply reply;
    RETURN_IF_ERROR(Call(*nodes_, &NodeInfoGcsService::Stub::GetAllNodeInfo, request, reply));
    std::vector<ClusterNode> nodes;
    for (const auto& info : reply.node_info_list()) {
      bool alive = info.state() == ray::rpc::GcsNodeInfo::ALIVE;
      if (info.node_id().size() != kNodeIdBytes || (request.has_state_filter() && !alive)) continue;
      nodes.push_back({absl::BytesToHexString(info.node_id()), info.node_manager_address(),
                       info.node_manager_hostname(), alive, info.is_head_node(), info.start_time_ms(), GroupOf(info),
                       LeftInOrder(info.death_info()), Printable(info.death_info().reason_message())});
    }
    std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.node_id < b.node_id; });
    return nodes;
  }

  // One call, and a second one when the token was refused and a newer one is found. `timeout` covers both.
  template <typename Stub, typename Request, typename Reply>
  absl::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, Reply& reply) {
    const auto deadline = std::chrono::system_clock::now() + options_.timeout;
    WaitForReconnect(deadline);
    Token token = CurrentToken();
    for (bool retried = false;; retried = true) {
      // gRPC aborts the process on a header that it may not send.
      if (!std::all_of(token.secret.begin(), token.secret.end(), absl::ascii_isprint))
        return absl::UnauthenticatedError(
            fmt::format("the token from {} holds a byte that is no printable ASCII", token.origin));
      grpc::ClientContext context;
      context.set_deadline(deadline);
      if (!token.secret.empty()) context.AddMetadata("authorization", "Bearer " + token.secret);
      reply.Clear();
      grpc::Status answer = (stub.*method)(&context, request, &reply);
      if (answer.error_code() != grpc::StatusCode::UNAUTHENTICATED)
        return answer.ok() ? FromGcsStatus(reply.status()) : FromGrpcStatus(answer);
      auto newer = FindToken(options_.token_file);
      if (!newer.ok()) return absl::UnauthenticatedError(newer.status().message());
      if (retried || newer->secret == token.secret) return RefusedToken(token, answer);
      std::lock_guard lock(mutex_);
      token_ = token = *newer;
    }
  }

  // After an outage gRPC fails calls at once until its back-off lets it connect again; asks it to try now instead.
  void WaitForReconnect(std::chrono::system_clock::time_point deadline) {
    if (channel_->GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_TRANSIENT_FAILURE) return;
    grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
    channel_->WaitForConnected(std::min(deadline, std::chrono::system_clock::now() + deadlines::kGcsReconnect()));
  }

  Token CurrentToken() {
    std::lock_guard lock(mutex_);
    return token_;
  }

  absl::Status FromGcsStatus(const ray::rpc::GcsStatus& status) const {
    if (status.code() == 0) return absl::OkStatus();
    if (status.code() == kGcsNotFound) return absl::NotFoundError(Printable(status.message()));
    return absl::InternalError(fmt::format("the GCS at {} answered with its code {}: {}", options_.address,
                                           status.code(), Printable(status.message())));
  }

  absl::Status FromGrpcStatus(const grpc::Status& status) const {
    std::string words = Printable(status.error_message());
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
        return absl::UnavailableError(
            fmt::format("cannot reach a GCS at {} ({}): does it run there, and do both sides use TLS "
                        "or neither (RAY_USE_TLS)?",
                        options_.address, words));
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        return absl::DeadlineExceededError(
            fmt::format("the GCS at {} did not answer within {} ms", options_.address, options_.timeout.count()));
      default:
        return absl::InternalError(fmt::format("the GCS at {} answered with gRPC code {}: {}", options_.address,
                                               static_cast<int>(status.error_code()), words));
    }
  }

  absl::Status RefusedToken(const Token& token, const grpc::Status& status) const {
    std::string words = Printable(status.error_message());
    if (token.secret.empty())
      return absl::UnauthenticatedError(fmt::format(
          "the GCS at {} asks for a token and none was found ({}): give the cluster's token by --token-file, "
          "RAY_AUTH_TOKEN or ~/.ray/auth_token",
          options_.address, words));
    return absl::UnauthenticatedError(
        fmt::format("the GCS at {} refused the token from {} ({}): it must be the cluster's own", options_.address,
                    token.origin, words));
  }

  const GcsClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<NodeInfoGcsService::Stub> nodes_;
  const std::unique_ptr<InternalKVGcsService::Stub> kv_;
  std::mutex mutex_;
  Token token_;  // guarded by mutex_
};

}  // namespace

absl::Status CheckGcsAddress(const std::string& address) {
  auto parsed = ParseHostPort(address);
  if (parsed.ok() && !parsed->host.empty() && parsed->port != 0 &&
      parsed->host.find_first_of("/[]") == std::string::npos)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("'{}' is no GCS address: it must be host:port, 10.0.0.1:6379 say", Printable(address)));
}

absl::StatusOr<std::unique_ptr<GcsClient>> GcsClient::Create(GcsClientOptions options) {
  RETURN_IF_ERROR(CheckGcsAddress(options.address));
  ASSIGN_OR_RETURN(auto token, FindToken(options.token_file));
  ASSIGN_OR_RETURN(auto channel, Connect(options.address));
  return std::make_unique<GrpcGcsClient>(std::move(options), std::move(channel), std::move(token));
}

}  // namespace netsense
