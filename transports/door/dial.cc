#include "transports/door/dial.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/frame_seal.h"
#include "base/handshake/prove_token.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

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

struct Entered {
  UniqueFd fd;
  ProvenConnection proven;
};

absl::StatusOr<Entered> Enter(const DialTarget& target, MonotonicTime deadline, const std::stop_token& stop) {
  absl::Status refused;
  for (const std::string& token : target.token.shown()) {
    ASSIGN_OR_RETURN(auto fd, ConnectTcp(target.host, target.port, target.from, deadline, stop));
    const MonotonicTime until = std::min(deadline, MonotonicNow() + deadlines::kHandshake());
    auto proven = ProveToken(fd.get(), token, until, stop);
    if (proven.ok()) return Entered{std::move(fd), *std::move(proven)};
    refused =
        absl::IsUnimplemented(proven.status()) ? absl::UnavailableError(proven.status().message()) : proven.status();
    if (!absl::IsUnauthenticated(refused)) break;
  }
  return refused;
}

}  // namespace

absl::StatusOr<DoorConnection> DialDoor(const DialTarget& target, const v1::OpenSession& request,
                                        MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto entered, Enter(target, deadline, stop));
  auto& [fd, proven] = entered;
  deadline = std::min(deadline, MonotonicNow() + deadlines::kHandshake());
  v1::SessionReply reply;
  RETURN_IF_ERROR(WriteSealed(fd.get(), request, SealedBy::kProber, &proven.seal, deadline, stop));
  RETURN_IF_ERROR(ReadSealed(fd.get(), &reply, SealedBy::kResponder, &proven.seal, deadline, stop));
  if (reply.has_refusal()) return StatusOfRefusal(reply.refusal());
  if (!reply.has_grant()) return absl::UnavailableError("the peer neither granted nor refused the session");
  if (!request.target_node_id().empty() && reply.grant().node_id() != request.target_node_id())
    return absl::NotFoundError(absl::StrCat("another node answers there: '", Printable(reply.grant().node_id()), "'"));

  DoorConnection connection;
  connection.peer_address = PeerAddress(fd.get());
  connection.fd = std::move(fd);
  connection.protocol_version = proven.version;
  connection.seal = std::move(proven.seal);
  connection.request = request;
  connection.grant = std::move(*reply.mutable_grant());
  return connection;
}

}  // namespace netsense
