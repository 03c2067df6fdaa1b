#include "engine/control_server.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "engine/control_socket.h"
#include "netsense/engine.grpc.pb.h"

namespace netsense {
namespace {

constexpr uint32_t kDefaultWatchIntervalMs = 100;
constexpr std::chrono::seconds kHeartbeat{1};  // an unchanged snapshot: the watcher sees lease and counters live
constexpr int kMaxPlanBytes = 16 << 20;

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

class Service final : public v1::EngineControl::Service {
 public:
  Service(Engine* engine, std::stop_token stop) : engine_(engine), stop_(std::move(stop)) {}

  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::EngineInfo* reply) override {
    *reply = engine_->Info();
    return grpc::Status::OK;
  }

  grpc::Status ApplyPlan(grpc::ServerContext*, const v1::ApplyPlanRequest* request,
                         v1::ApplyPlanReply* reply) override {
    auto applied = engine_->ApplyPlan(request->plan());
    if (!applied.ok()) return ToGrpc(applied.status());
    *reply = *std::move(applied);
    return grpc::Status::OK;
  }

  grpc::Status RenewLease(grpc::ServerContext*, const v1::RenewLeaseRequest* request,
                          v1::RenewLeaseReply* reply) override {
    auto renewed = engine_->RenewLease(*request);
    if (!renewed.ok()) return ToGrpc(renewed.status());
    *reply = *std::move(renewed);
    return grpc::Status::OK;
  }

  grpc::Status GetSnapshot(grpc::ServerContext*, const v1::GetSnapshotRequest*, v1::Snapshot* reply) override {
    *reply = engine_->Collect(0).snapshot;
    return grpc::Status::OK;
  }

  grpc::Status WatchResults(grpc::ServerContext* context, const v1::WatchResultsRequest* request,
                            grpc::ServerWriter<v1::Snapshot>* writer) override {
    std::chrono::milliseconds pause(request->min_interval_ms() == 0 ? kDefaultWatchIntervalMs
                                                                    : request->min_interval_ms());
    uint64_t seen = 0;
    while (!context->IsCancelled() && !stop_.stop_requested()) {
      Engine::Update update = engine_->Collect(seen);
      if (!writer->Write(update.snapshot)) break;
      // A version of its own even before the first sample, so that "after 0" keeps meaning "everything".
      seen = std::max<uint64_t>(update.version, 1);
      if (SleepUnlessStopped(stop_, pause)) break;
      engine_->WaitForNews(seen, kHeartbeat, stop_);
    }
    return grpc::Status::OK;
  }

 private:
  Engine* const engine_;
  const std::stop_token stop_;
};

class Server final : public ControlServer {
 public:
  explicit Server(Engine* engine) : service_(engine, stop_.get_token()) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(kMaxPlanBytes);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    server_ = builder.BuildAndStart();
  }

  ~Server() override {
    socket_.reset();
    stop_.request_stop();
    server_->Shutdown(std::chrono::system_clock::now() + deadlines::kControlEnd());
  }

  absl::Status Listen(const std::string& path) {
    auto socket = ControlSocket::Listen(
        path, [this](UniqueFd fd) { grpc::AddInsecureChannelFromFd(server_.get(), fd.Release()); });
    if (!socket.ok()) return socket.status();
    socket_ = *std::move(socket);
    return absl::OkStatus();
  }

 private:
  std::stop_source stop_;
  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ControlSocket> socket_;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return absl::InvalidArgumentError("the socket's path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return absl::UnavailableError(absl::StrCat("no engine answers on ", path, ": ", strerror(errno)));
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return grpc::CreateInsecureChannelFromFd("engine", fd.Release());
}

template <typename Reply, typename Call>
absl::StatusOr<Reply> Ask(const std::string& path, Call call) {
  ASSIGN_OR_RETURN(auto channel, ConnectToSocket(path));
  auto stub = v1::EngineControl::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadlines::kStatusAnswer());
  Reply reply;
  grpc::Status status = call(*stub, &context, &reply);
  if (!status.ok()) return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  return reply;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(const std::string& socket_path, Engine* engine) {
  auto server = std::make_unique<Server>(engine);
  RETURN_IF_ERROR(server->Listen(socket_path));
  return server;
}

absl::StatusOr<v1::EngineInfo> AskInfo(const std::string& socket_path) {
  return Ask<v1::EngineInfo>(socket_path, [](v1::EngineControl::Stub& stub, grpc::ClientContext* context, auto* reply) {
    return stub.GetInfo(context, {}, reply);
  });
}

absl::StatusOr<v1::Snapshot> AskSnapshot(const std::string& socket_path) {
  return Ask<v1::Snapshot>(socket_path, [](v1::EngineControl::Stub& stub, grpc::ClientContext* context, auto* reply) {
    return stub.GetSnapshot(context, {}, reply);
  });
}

}  // namespace netsense
