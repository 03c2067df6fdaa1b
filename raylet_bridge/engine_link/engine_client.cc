#include "raylet_bridge/engine_link/engine_client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "netsense/engine.grpc.pb.h"

namespace netsense {
namespace {

constexpr int kMaxSnapshotBytes = 64 << 20;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return absl::DeadlineExceededError("the engine of this node does not answer");
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::StatusOr<UniqueFd> ConnectSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' cannot be a Unix socket: its path must have 1 to ",
                                                   sizeof(address.sun_path) - 1, " bytes"));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return absl::UnavailableError(absl::StrCat("no socket left: ", strerror(errno)));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return absl::UnavailableError(absl::StrCat("no engine answers on ", path, ": ", strerror(errno)));
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || (peer.uid != geteuid() && peer.uid != 0))
    return absl::PermissionDeniedError(absl::StrCat("who listens on ", path, " is user ", peer.uid,
                                                    ", neither this one nor root: remove that socket"));
  return fd;
}

class GrpcEngineClient final : public EngineClient {
 public:
  explicit GrpcEngineClient(UniqueFd fd) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxSnapshotBytes);
    stub_ = v1::EngineControl::NewStub(grpc::CreateCustomInsecureChannelFromFd("engine", fd.Release(), arguments));
  }

  absl::StatusOr<v1::EngineInfo> GetInfo(std::stop_token stop) override {
    v1::EngineInfo info;
    RETURN_IF_ERROR(Call(&v1::EngineControl::Stub::GetInfo, v1::GetInfoRequest(), info, deadlines::kEngineFirstAnswer,
                         std::move(stop)));
    return info;
  }

  absl::StatusOr<v1::ApplyPlanReply> ApplyPlan(const v1::Plan& plan) override {
    v1::ApplyPlanRequest request;
    *request.mutable_plan() = plan;
    v1::ApplyPlanReply reply;
    RETURN_IF_ERROR(Call(&v1::EngineControl::Stub::ApplyPlan, request, reply));
    return reply;
  }

  absl::Status RenewLease(const std::string& plan_id, uint32_t lease_ms) override {
    v1::RenewLeaseRequest request;
    request.set_plan_id(plan_id);
    request.set_lease_ms(lease_ms);
    v1::RenewLeaseReply reply;
    return Call(&v1::EngineControl::Stub::RenewLease, request, reply);
  }

  absl::Status WatchResults(std::stop_token stop,
                            const std::function<void(const v1::Snapshot&)>& on_snapshot) override {
    grpc::ClientContext context;
    std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    auto reader = stub_->WatchResults(&context, v1::WatchResultsRequest());
    v1::Snapshot snapshot;
    while (reader->Read(&snapshot)) on_snapshot(snapshot);
    grpc::Status status = reader->Finish();
    if (status.ok()) return absl::UnavailableError("the engine ended");
    return FromGrpc(status);
  }

 private:
  template <typename Request, typename Reply>
  absl::Status Call(grpc::Status (v1::EngineControl::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, Reply& reply, Deadline timeout = deadlines::kEngineAnswer,
                    std::stop_token stop = {}) {
    grpc::ClientContext context;
    std::stop_callback cancel(std::move(stop), [&context] { context.TryCancel(); });
    context.set_deadline(std::chrono::system_clock::now() + timeout());
    return FromGrpc((stub_.get()->*method)(&context, request, &reply));
  }

  std::unique_ptr<v1::EngineControl::Stub> stub_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EngineClient>> EngineClient::Connect(const std::string& socket_path) {
  ASSIGN_OR_RETURN(auto fd, ConnectSocket(socket_path));
  return std::make_unique<GrpcEngineClient>(std::move(fd));
}

}  // namespace netsense
