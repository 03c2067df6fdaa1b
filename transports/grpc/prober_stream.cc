#include "transports/grpc/prober_stream.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>

#include <utility>

#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense::grpc_backend {

absl::StatusOr<std::unique_ptr<ProberStream>> ProberStream::Open(DoorConnection* connection, MonotonicTime deadline,
                                                                 const std::stop_token& stop) {
  UniqueFd kept(fcntl(connection->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!kept) return absl::InternalError("no descriptor left for a gRPC session");
  std::swap(kept, connection->fd);
  ShutdownOnStop guard(stop, connection->fd.get());
  std::unique_ptr<ProberStream> stream(new ProberStream(*connection, std::move(kept)));
  RETURN_IF_ERROR(stream->Start(deadline, stop));
  return stream;
}

ProberStream::ProberStream(const DoorConnection& connection, UniqueFd fd)
    : FrameStream(connection.fd.get(), connection.grant.session_nonce(),
                  connection.request.wait_mode() == v1::WAIT_MODE_BUSY_POLL) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  if (connection.request.options().mode() == kStream)
    ForEachStreamArgument([&](const char* name, int value) { arguments.SetInt(name, value); });
  channel_ = grpc::CreateCustomInsecureChannelFromFd("netsense", fd.Release(), arguments);
}

ProberStream::~ProberStream() {
  context_.TryCancel();
  Drain(queue_);
}

absl::Status ProberStream::Start(MonotonicTime deadline, const std::stop_token& stop) {
  stream_ = grpc::GenericStub(channel_).PrepareCall(&context_, kStreamMethod, &queue_);
  stream_->StartCall(Begin(kOpened));
  RETURN_IF_ERROR(Await(kOpened, deadline, stop));
  stream_->ReadInitialMetadata(Begin(kOpened));  // the responder's: its server is up
  RETURN_IF_ERROR(Await(kOpened, deadline, stop));
  ReadNext();
  return absl::OkStatus();
}

absl::Status ProberStream::AwaitCall(grpc::ClientContext& call, MonotonicTime deadline, const std::stop_token& stop,
                                     MonotonicTime* received_at) {
  auto waited = Await(kCallDone, deadline, stop);
  *received_at = MonotonicNow();
  if (waited.ok()) return waited;
  call.TryCancel();  // it must be over before what it points to goes away
  Finish(kCallDone);
  return waited;
}

}  // namespace netsense::grpc_backend
