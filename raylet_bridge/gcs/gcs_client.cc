#include "raylet_bridge/gcs/gcs_client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "raylet_bridge/gcs/gcs_link.h"
#include "raylet_bridge/gcs/tls.h"

namespace netsense {
namespace {

using ray::rpc::InternalKVGcsService;
using ray::rpc::NodeInfoGcsService;
using std::chrono::milliseconds;

constexpr char kNamespace[] = "network_sense";
constexpr size_t kNodeIdBytes = 28;
constexpr int kGcsNotFound = 17;
absl::StatusOr<std::string> NodeIdToBytes(const std::string& node_id) {
  bool hex = node_id.size() == 2 * kNodeIdBytes && std::all_of(node_id.begin(), node_id.end(), absl::ascii_isxdigit);
  if (!hex)
    return absl::InvalidArgumentError(
        fmt::format("'{}' is no node id: it must be {} hex digits", Printable(node_id), 2 * kNodeIdBytes));
  return absl::HexStringToBytes(node_id);
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
  GrpcGcsClient(GcsClientOptions options, Token token) : options_(std::move(options)), token_(std::move(token)) {}

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
    return Call(&GcsLink::nodes, &NodeInfoGcsService::Stub::RegisterNode, request, reply);
  }

  absl::Status UnregisterNode(const std::string& node_id) override {
    ASSIGN_OR_RETURN(auto id, NodeIdToBytes(node_id));
    ray::rpc::UnregisterNodeRequest request;
    request.set_node_id(id);
    ray::rpc::UnregisterNodeReply reply;
    return Call(&GcsLink::nodes, &NodeInfoGcsService::Stub::UnregisterNode, request, reply);
  }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    ray::rpc::InternalKVGetRequest request;
    request.set_key(key);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVGetReply reply;
    auto status = Call(&GcsLink::kv, &InternalKVGcsService::Stub::InternalKVGet, request, reply);
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
    RETURN_IF_ERROR(Call(&GcsLink::kv, &InternalKVGcsService::Stub::InternalKVMultiGet, request, reply));
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
    return Call(&GcsLink::kv, &InternalKVGcsService::Stub::InternalKVPut, request, reply);
  }

  absl::Status Delete(const std::string& key) override {
    ray::rpc::InternalKVDelRequest request;
    request.set_key(key);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVDelReply reply;
    return Call(&GcsLink::kv, &InternalKVGcsService::Stub::InternalKVDel, request, reply);
  }

  absl::StatusOr<std::vector<std::string>> KeysWithPrefix(const std::string& prefix) override {
    ray::rpc::InternalKVKeysRequest request;
    request.set_prefix(prefix);
    request.set_namespace_(kNamespace);
    ray::rpc::InternalKVKeysReply reply;
    RETURN_IF_ERROR(Call(&GcsLink::kv, &InternalKVGcsService::Stub::InternalKVKeys, request, reply));
    return std::vector<std::string>(reply.results().begin(), reply.results().end());
  }

 private:
  absl::StatusOr<std::vector<ClusterNode>> ListNodes(const ray::rpc::GetAllNodeInfoRequest& request) {
    ray::rpc::GetAllNodeInfoReply reply;
    RETURN_IF_ERROR(Call(&GcsLink::nodes, &NodeInfoGcsService::Stub::GetAllNodeInfo, request, reply));
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

  // One call, and another one when the link was over, when the token must be shown, or when it was refused and
  // there is another: a newer one, or the one before. `timeout` covers all of it.
  template <typename Stub, typename Request, typename Reply>
  absl::Status Call(std::unique_ptr<Stub> GcsLink::*stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), const Request& request,
                    Reply& reply) {
    const auto deadline = std::chrono::system_clock::now() + options_.timeout;
    const MonotonicTime until = MonotonicNow() + options_.timeout;
    bool reopened = false;
    Token token = CurrentToken();
    std::vector<std::string> refused;
    while (true) {
      auto link = UsableLink(token.secret, until);
      grpc::Status answer;
      if (link.ok()) {
        const bool shows_token = !token.secret.empty() && (*link)->shows_token;
        // gRPC aborts the process on a header that it may not send.
        if (shows_token && !std::all_of(token.secret.begin(), token.secret.end(), absl::ascii_isprint))
          return absl::UnauthenticatedError(
              fmt::format("the token from {} holds a byte that is no printable ASCII", token.origin));
        grpc::ClientContext context;
        context.set_deadline(deadline);
        if (shows_token) context.AddMetadata("authorization", "Bearer " + token.secret);
        reply.Clear();
        answer = (*((**link).*stub).*method)(&context, request, &reply);
        if (answer.ok()) return FromGcsStatus(reply.status());
        const bool gone = answer.error_code() == grpc::StatusCode::UNAVAILABLE;
        if ((*link)->proven && (gone || answer.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)) Drop(*link);
        if ((*link)->proven && gone && !std::exchange(reopened, true)) continue;
        if (answer.error_code() != grpc::StatusCode::UNAUTHENTICATED) return FromGrpcStatus(answer);
      } else {
        // Closed in the middle of the hello: many may come at once, as after a restart of the head.
        if (absl::IsUnavailable(link.status()) && !std::exchange(reopened, true)) continue;
        if (!absl::IsUnauthenticated(link.status())) return FromLinkStatus(link.status());
        answer = {grpc::StatusCode::UNAUTHENTICATED, std::string(link.status().message())};
      }
      refused.push_back(token.secret);
      auto found = FindToken(options_.token_file);
      if (!found.ok()) return absl::UnauthenticatedError(found.status().message());
      const std::vector<std::string> others = RingOf(*found).shown();
      const auto next = std::find_if(others.begin(), others.end(), [&refused](const std::string& one) {
        return std::find(refused.begin(), refused.end(), one) == refused.end();
      });
      if (next == others.end()) return RefusedToken(token, answer);
      token = {*next, found->origin};
      std::lock_guard lock(mutex_);
      token_ = token;
    }
  }

  absl::StatusOr<std::shared_ptr<GcsLink>> UsableLink(const std::string& token, MonotonicTime until) {
    std::unique_lock opening(opening_, until);
    if (!opening) return absl::DeadlineExceededError("another call was still opening a connection");
    std::shared_ptr<GcsLink> link = CurrentLink();
    const bool connects_by_itself = link != nullptr && !link->proven;
    if (link != nullptr &&
        (link->proven || link->channel->GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_TRANSIENT_FAILURE))
      return link;
    // Also after an outage of a GCS that spoke plain gRPC: another one may be there now.
    ASSIGN_OR_RETURN(auto opened, OpenGcsLink(options_.address, token, options_.allow_plain, until));
    if (connects_by_itself && !opened->proven) {
      WaitForReconnect(*link->channel, until);
      return link;
    }
    std::lock_guard lock(mutex_);
    return link_ = std::move(opened);
  }

  // gRPC fails calls at once until its back-off lets it connect again; asks it to try now instead.
  static void WaitForReconnect(grpc::Channel& channel, MonotonicTime until) {
    grpc::experimental::ChannelResetConnectionBackoff(&channel);
    const auto left = std::min<MonotonicTime::duration>(until - MonotonicNow(), deadlines::kGcsReconnect());
    channel.WaitForConnected(std::chrono::system_clock::now() + std::chrono::ceil<milliseconds>(left));
  }

  std::shared_ptr<GcsLink> CurrentLink() {
    std::lock_guard lock(mutex_);
    return link_;
  }

  void Drop(const std::shared_ptr<GcsLink>& link) {
    std::lock_guard lock(mutex_);
    if (link_ == link) link_.reset();
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

  absl::Status FromLinkStatus(const absl::Status& status) const {
    if (absl::IsUnavailable(status)) return NotThere(std::string(status.message()));
    if (absl::IsDeadlineExceeded(status)) return TooLate();
    return absl::Status(status.code(),
                        fmt::format("the GCS at {}: {}", options_.address, Printable(std::string(status.message()))));
  }

  absl::Status NotThere(const std::string& words) const {
    return absl::UnavailableError(
        fmt::format("cannot reach a GCS at {} ({}): does it run there, and do both sides use TLS "
                    "or neither (RAY_USE_TLS)?",
                    options_.address, Printable(words)));
  }

  absl::Status TooLate() const {
    return absl::DeadlineExceededError(
        fmt::format("the GCS at {} did not answer within {} ms", options_.address, options_.timeout.count()));
  }

  absl::Status FromGrpcStatus(const grpc::Status& status) const {
    std::string words = Printable(status.error_message());
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
        return NotThere(status.error_message());
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        return TooLate();
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
  std::timed_mutex opening_;  // one link is opened at a time
  std::mutex mutex_;
  Token token_;                    // guarded by mutex_
  std::shared_ptr<GcsLink> link_;  // the same
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
  token.secret = TokenToShow(token);
  RETURN_IF_ERROR(TlsFromEnvironment().status());
  return std::make_unique<GrpcGcsClient>(std::move(options), std::move(token));
}

}  // namespace netsense
