#include "transports/door/dial.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

// Ok and the connection is authenticated, or why not.
absl::StatusOr<uint16_t> ProveToken(int fd, const std::string& token, MonotonicTime deadline, std::stop_token stop) {
  Nonce nonce;
  if (!FillRandom(nonce)) return absl::InternalError("no randomness for a nonce");
  ClientHelloBytes client = EncodeClientHello({.has_token = !token.empty()}, nonce);
  ServerHelloBytes server{};
  RETURN_IF_ERROR(WriteAll(fd, client, deadline, stop));
  RETURN_IF_ERROR(ReadExactly(fd, server, deadline, stop));
  auto hello = DecodeServerHello(server);
  if (!hello.ok()) return absl::UnavailableError(hello.status().message());
  if (hello->agreement.answer != DoorAnswer::kAccepted) return RefusalStatus(hello->agreement.answer, hello->offer);
  // A responder that claims to have no token must not talk us into going on without one.
  if (hello->offer.has_token != !token.empty())
    return RefusalStatus(token.empty() ? DoorAnswer::kTokenRequired : DoorAnswer::kNoToken, hello->offer);
  uint16_t version = hello->agreement.version;
  if (version < kProtocolVersionMin || version > kProtocolVersionMax)
    return RefusalStatus(DoorAnswer::kVersion, hello->offer);

  VerdictBytes verdict{};
  RETURN_IF_ERROR(WriteAll(fd, MakeClientProof(token, client, server), deadline, stop));
  RETURN_IF_ERROR(ReadExactly(fd, verdict, deadline, stop));
  RETURN_IF_ERROR(CheckVerdict(token, client, server, verdict));
  return version;
}

absl::Status StatusOfRefusal(const v1::SessionReply::Refusal& refusal) {
  std::string reason = absl::StrCat("the peer refused: ", Printable(refusal.reason()));
  switch (refusal.code()) {
    case v1::REFUSAL_CODE_BUSY:
      return absl::AbortedError(reason);
    case v1::REFUSAL_CODE_BUDGET:
      return absl::ResourceExhaustedError(reason);
    case v1::REFUSAL_CODE_VERSION:
      return absl::FailedPreconditionError(reason);
    case v1::REFUSAL_CODE_UNKNOWN_NODE:
      return absl::NotFoundError(reason);
    case v1::REFUSAL_CODE_TRANSPORT:
      return absl::UnimplementedError(reason);
    case v1::REFUSAL_CODE_OPTIONS:
      return absl::InvalidArgumentError(reason);
    default:
      return absl::PermissionDeniedError(reason);
  }
}

}  // namespace

absl::StatusOr<DoorConnection> DialDoor(const DialTarget& target, const v1::OpenSession& request,
                                        MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto fd, ConnectTcp(target.host, target.port, target.from, deadline, stop));
  deadline = std::min(deadline, MonotonicNow() + deadlines::kHandshake());
  ASSIGN_OR_RETURN(auto version, ProveToken(fd.get(), target.token, deadline, stop));

  v1::SessionReply reply;
  RETURN_IF_ERROR(WriteFrame(fd.get(), request, deadline, stop));
  RETURN_IF_ERROR(ReadFrame(fd.get(), &reply, deadline, stop));
  if (reply.has_refusal()) return StatusOfRefusal(reply.refusal());
  if (!reply.has_grant()) return absl::UnavailableError("the peer neither granted nor refused the session");
  if (!request.target_node_id().empty() && reply.grant().node_id() != request.target_node_id())
    return absl::NotFoundError(absl::StrCat("another node answers there: '", Printable(reply.grant().node_id()), "'"));

  DoorConnection connection;
  connection.peer_address = PeerAddress(fd.get());
  connection.fd = std::move(fd);
  connection.protocol_version = version;
  connection.request = request;
  connection.grant = std::move(*reply.mutable_grant());
  return connection;
}

}  // namespace netsense
