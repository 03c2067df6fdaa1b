#include "engine/orders/session.h"

#include "base/handshake/frame_seal.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "engine/orders/messages.h"

namespace netsense {

absl::StatusOr<OrderSession> OrderSession::Open(const DialTarget& node, MonotonicTime deadline, std::stop_token stop) {
  v1::OpenSession request;
  request.set_purpose(v1::SESSION_PURPOSE_ORDER);
  request.set_software_version(NETSENSE_VERSION);
  ASSIGN_OR_RETURN(auto connection, DialDoor(node, request, deadline, std::move(stop)));
  return OrderSession(std::move(connection.fd), std::move(connection.seal));
}

absl::StatusOr<v1::OrderAnswer> OrderSession::Run(const v1::Order& order, v1::OrderAnswer::KindCase wanted,
                                                  MonotonicTime deadline, const std::stop_token& stop) {
  if (broken_) return absl::UnavailableError("the session for orders is over");
  broken_ = true;
  ShutdownOnStop shutdown(stop, fd_.get());
  v1::OrderAnswer answer;
  absl::Status status = WriteSealed(fd_.get(), order, SealedBy::kProber, &seal_, deadline, stop);
  if (status.ok()) status = ReadSealed(fd_.get(), &answer, SealedBy::kResponder, &seal_, deadline, stop);
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  if (absl::IsInvalidArgument(status)) status = absl::UnavailableError("the node's answer makes no sense");
  if (!status.ok()) return status;
  broken_ = false;
  if (answer.code() != 0)
    return absl::Status(static_cast<absl::StatusCode>(answer.code()), Printable(answer.message()));
  if (answer.kind_case() != wanted) return absl::UnavailableError("the node answered something else");
  return answer;
}

absl::StatusOr<v1::NodeDescription> OrderSession::Describe(MonotonicTime deadline, const std::stop_token& stop) {
  v1::Order order;
  order.mutable_describe();
  ASSIGN_OR_RETURN(auto answer, Run(order, v1::OrderAnswer::kDescribe, deadline, stop));
  return answer.describe();
}

absl::StatusOr<PingResult> OrderSession::Ping(const PingRequest& request, MonotonicTime deadline,
                                              const std::stop_token& stop) {
  v1::Order order;
  *order.mutable_ping() = ToOrder(request);
  ASSIGN_OR_RETURN(auto answer, Run(order, v1::OrderAnswer::kPing, deadline, stop));
  return FromFigures(answer.ping());
}

absl::StatusOr<BandwidthResult> OrderSession::Bandwidth(const BandwidthRequest& request, MonotonicTime deadline,
                                                        const std::stop_token& stop) {
  v1::Order order;
  *order.mutable_bandwidth() = ToOrder(request);
  ASSIGN_OR_RETURN(auto answer, Run(order, v1::OrderAnswer::kBandwidth, deadline, stop));
  return FromFigures(answer.bandwidth());
}

}  // namespace netsense
