#include "transports/grpc/server.h"

#include <fcntl.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <utility>

#include "transports/grpc/completion.h"

namespace netsense::grpc_backend {

absl::StatusOr<std::unique_ptr<SessionServer>> SessionServer::Start(DoorConnection* connection) {
  UniqueFd kept(fcntl(connection->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!kept) return absl::InternalError("no descriptor left for a gRPC session");
  std::unique_ptr<SessionServer> session(new SessionServer(kept.get()));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  if (connection->request.options().mode() == kStream)
    ForEachStreamArgument([&](const char* name, int value) { builder.AddChannelArgument(name, value); });
  builder.RegisterService(&session->service_);
  session->queue_ = builder.AddCompletionQueue();
  session->server_ = builder.BuildAndStart();
  if (!session->server_) return absl::InternalError("gRPC could not start a server");
  std::swap(kept, connection->fd);
  grpc::AddInsecureChannelFromFd(session->server_.get(), kept.Release());
  return session;
}

SessionServer::~SessionServer() {
  if (server_) {
    shutdown(fd_, SHUT_RDWR);
    server_->Shutdown(std::chrono::system_clock::now());
  }
  if (queue_) Drain(*queue_);
}

}  // namespace netsense::grpc_backend
