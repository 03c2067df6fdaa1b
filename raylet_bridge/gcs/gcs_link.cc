#include "raylet_bridge/gcs/gcs_link.h"

#include <grpcpp/create_channel_posix.h>

#include <utility>

#include "base/deadlines.h"
#include "base/handshake/prove_token.h"
#include "base/host_port.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "raylet_bridge/gcs/tls.h"

namespace netsense {
namespace {

constexpr int kMaxReceiveBytes = 512 << 20;
// A call that was on its way when the GCS went is tried once more: every call of ours may be repeated.
constexpr char kRetryOnce[] = R"({"methodConfig": [{"name": [{}], "retryPolicy": {
    "maxAttempts": 2, "initialBackoff": "0.05s", "maxBackoff": "0.05s", "backoffMultiplier": 1,
    "retryableStatusCodes": ["UNAVAILABLE"]}}]})";

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetServiceConfigJSON(kRetryOnce);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);  // a GCS drops clients that ask more often
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(deadlines::kGcsKeepalive().count()));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

std::shared_ptr<GcsLink> LinkOver(std::shared_ptr<grpc::Channel> channel, bool proven) {
  auto link = std::make_shared<GcsLink>();
  link->channel = std::move(channel);
  link->nodes = ray::rpc::NodeInfoGcsService::NewStub(link->channel);
  link->kv = ray::rpc::InternalKVGcsService::NewStub(link->channel);
  link->proven = proven;
  return link;
}

}  // namespace

absl::StatusOr<std::shared_ptr<GcsLink>> OpenGcsLink(const std::string& address, const std::string& token,
                                                     bool allow_plain, MonotonicTime deadline) {
  ASSIGN_OR_RETURN(auto tls, TlsFromEnvironment());
  if (tls)
    return LinkOver(
        grpc::CreateCustomChannel(address, grpc::SslCredentials({tls->ca, tls->key, tls->certificate}), Arguments()),
        false);
  ASSIGN_OR_RETURN(auto at, ParseHostPort(address));
  ASSIGN_OR_RETURN(auto fd, ConnectTcp(at.host, at.port, {}, deadline, {}));
  auto proven = ProveToken(fd.get(), token, deadline, {});
  if (absl::IsUnimplemented(proven.status()) && !allow_plain)
    return absl::UnavailableError(
        "it speaks gRPC without a hello, as one of an older release does: upgrade it, or give --gcs-allow-plain, and "
        "the "
        "token is shown to it in clear text");
  if (absl::IsUnimplemented(proven.status()))
    return LinkOver(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), Arguments()), false);
  RETURN_IF_ERROR(proven.status());
  auto link = LinkOver(grpc::CreateCustomInsecureChannelFromFd(address, fd.Release(), Arguments()), true);
  link->shows_token = proven->wants_token_shown;
  return link;
}

}  // namespace netsense
