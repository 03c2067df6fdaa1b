// A gRPC server without a listening port, on the one connection of a session.
#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/server.h>

#include <memory>

#include "absl/status/statusor.h"
#include "netsense/probe.grpc.pb.h"
#include "transports/transport.h"

namespace netsense::grpc_backend {

// Every method by the completion queue.
using Service = v1::NetworkProbe::WithRawMethod_NetStream<v1::NetworkProbe::WithAsyncMethod_NetBandwidthProbe<
    v1::NetworkProbe::WithAsyncMethod_NetPing<v1::NetworkProbe::Service>>>;

class SessionServer {
 public:
  // Takes the connection's descriptor and leaves another of the same connection in its place. Internal: a shortage
  // here.
  static absl::StatusOr<std::unique_ptr<SessionServer>> Start(DoorConnection* connection);
  // Closes the connection and takes what is left in the queue.
  ~SessionServer();

  Service& service() { return service_; }
  grpc::ServerCompletionQueue& queue() { return *queue_; }
  // Of the connection; the owner's.
  int fd() const { return fd_; }

 private:
  explicit SessionServer(int fd) : fd_(fd) {}

  const int fd_;
  Service service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace netsense::grpc_backend
