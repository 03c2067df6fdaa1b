#include "transports/grpc/responder_stream.h"

#include <utility>

#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense::grpc_backend {

absl::StatusOr<std::unique_ptr<ResponderStream>> ResponderStream::Accept(DoorConnection* connection,
                                                                         MonotonicTime deadline,
                                                                         const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto started, SessionServer::Start(connection));
  std::unique_ptr<ResponderStream> stream(new ResponderStream(std::move(started), *connection));
  ShutdownOnStop guard(stop, connection->fd.get());
  SessionServer& server = *stream->server_;
  stream->context_.AsyncNotifyWhenDone(stream->Begin(kOver));
  server.service().RequestNetStream(&stream->context_, &stream->stream_, &server.queue(), &server.queue(),
                                    stream->Begin(kOpened));
  RETURN_IF_ERROR(stream->Await(kOpened, deadline, stop));
  stream->stream_.SendInitialMetadata(stream->Begin(kOpened));
  RETURN_IF_ERROR(stream->Await(kOpened, deadline, stop));
  stream->ReadNext();
  return stream;
}

ResponderStream::ResponderStream(std::unique_ptr<SessionServer> server, const DoorConnection& connection)
    : FrameStream(connection.fd.get(), connection.grant.session_nonce(),
                  connection.grant.wait_mode() == v1::WAIT_MODE_BUSY_POLL),
      server_(std::move(server)) {}

}  // namespace netsense::grpc_backend
