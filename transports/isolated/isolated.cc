#include "transports/isolated/isolated.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/isolated/children.h"
#include "transports/isolated/packet.h"
#include "transports/isolated/thread_binding.h"
#include "transports/stream_meter.h"

namespace netsense {
namespace isolated {
namespace {

// The child keeps the deadline; one that is later than this does not answer at all.
MonotonicTime Later(MonotonicTime deadline) {
  const auto late = deadlines::kChildLate();
  return deadline > MonotonicTime::max() - late ? deadline : deadline + late;
}

int64_t CountOf(MonotonicTime time) { return std::chrono::nanoseconds(time.time_since_epoch()).count(); }

v1::ChildSession OrderOf(const DoorConnection& connection) {
  v1::ChildSession order;
  *order.mutable_request() = connection.request;
  *order.mutable_grant() = connection.grant;
  order.set_peer_address(connection.peer_address);
  *order.mutable_binding() = BindingOfThisThread();
  return order;
}

// The next outcome of a session's socket: what the child said, Cancelled, or why there is none.
absl::Status AwaitOutcome(const CarriedSession& carried, MonotonicTime deadline, const std::stop_token& stop,
                          v1::ChildOutcome* outcome) {
  auto waited = WaitReady(carried.socket(), POLLIN, deadline, stop);
  if (absl::IsDeadlineExceeded(waited)) return absl::InternalError("the transport's process does not answer");
  if (!waited.ok()) return waited;
  auto status = ReceivePacket(carried.socket(), outcome);
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  if (!status.ok()) return carried.WhyGone();
  return absl::Status(static_cast<absl::StatusCode>(outcome->code()), outcome->message());
}

class IsolatedSession final : public Session {
 public:
  IsolatedSession(std::unique_ptr<CarriedSession> carried, v1::SessionReply::Grant grant, SessionDetails details)
      : carried_(std::move(carried)), grant_(std::move(grant)), details_(std::move(details)) {}

  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    v1::ChildCall call;
    call.set_ping_payload_bytes(spec.payload_bytes);
    v1::ChildOutcome outcome;
    RETURN_IF_ERROR(Call(&call, deadline, stop, &outcome));
    RttSample sample;
    sample.rtt = std::chrono::nanoseconds(static_cast<int64_t>(outcome.rtt().rtt_ns()));
    if (outcome.rtt().has_responder_hold_ns())
      sample.responder_hold = std::chrono::nanoseconds(static_cast<int64_t>(outcome.rtt().responder_hold_ns()));
    sample.source = outcome.rtt().source();
    return sample;
  }

  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    v1::ChildCall call;
    *call.mutable_stream() = netsense::OrderOf(spec);
    call.set_may_finish(spec.finish.stop_possible());
    call.set_watched(spec.moved != nullptr);
    v1::ChildOutcome outcome;
    std::stop_callback finish(spec.finish, [this] {
      v1::ChildCall order;
      order.set_finish(true);
      (void)TrySendPacket(carried_->socket(), order);
    });
    RETURN_IF_ERROR(Call(&call, deadline, stop, &outcome, spec.moved));
    auto sample = SampleOf(outcome.stream().report());
    if (sample.ok() && outcome.stream().has_sent_bytes())
      sample->sent = StreamSample::Sent{outcome.stream().sent_bytes(),
                                        std::chrono::nanoseconds(outcome.stream().sent_past_buffers_ns())};
    return sample;
  }

  const v1::SessionReply::Grant& peer() const override { return grant_; }
  SessionDetails details() const override { return details_; }

 private:
  absl::Status Call(v1::ChildCall* call, MonotonicTime deadline, const std::stop_token& stop, v1::ChildOutcome* outcome,
                    std::atomic<uint64_t>* moved = nullptr) {
    if (broken_) return absl::UnavailableError("the session is over");
    ShutdownOnStop guard(stop, carried_->socket());
    call->set_deadline_ns(CountOf(deadline));
    auto status = TrySendPacket(carried_->socket(), *call);
    if (stop.stop_requested()) {
      status = absl::CancelledError("stopped");
    } else {
      auto await = [&] { return AwaitOutcome(*carried_, Later(deadline), stop, outcome); };
      status = status.ok() ? await() : carried_->WhyGone();
      for (; status.ok() && outcome->has_moved_bytes(); status = await())
        if (moved != nullptr) moved->store(outcome->moved_bytes(), std::memory_order_relaxed);
    }
    // A lost ping and a spec outside the limits leave the session in the child alive; everything else ended it there.
    bool lives =
        status.ok() || absl::IsInvalidArgument(status) || (absl::IsDeadlineExceeded(status) && !call->has_stream());
    broken_ = !lives;
    return status;
  }

  const std::unique_ptr<CarriedSession> carried_;
  const v1::SessionReply::Grant grant_;
  const SessionDetails details_;
  bool broken_ = false;
};

class IsolatedTransport final : public Transport {
 public:
  explicit IsolatedTransport(IsolatedBackend backend) : backend_(std::move(backend)), children_(backend_) {}

  std::string_view name() const override { return backend_.name; }
  Capabilities capabilities() const override { return backend_.capabilities; }
  absl::Status availability() const override { return children_.availability(); }
  absl::Status AwaitAvailability(const std::string& peer_address, MonotonicTime deadline,
                                 std::stop_token stop) const override {
    return children_.Await(peer_address, deadline, stop);
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    v1::ChildSession order = OrderOf(connection);
    order.mutable_connect()->set_deadline_ns(CountOf(deadline));
    auto carried = children_.Open(order, std::move(connection.fd), deadline, stop);
    if (absl::IsUnavailable(carried.status())) return absl::InternalError(carried.status().message());
    if (!carried.ok()) return carried.status();
    ShutdownOnStop guard(stop, (*carried)->socket());
    v1::ChildOutcome outcome;
    RETURN_IF_ERROR(AwaitOutcome(**carried, Later(deadline), stop, &outcome));
    SessionDetails details{.mode = outcome.connected().mode(), .device = outcome.connected().device()};
    return std::make_unique<IsolatedSession>(*std::move(carried), std::move(connection.grant), std::move(details));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    v1::ChildSession order = OrderOf(connection);
    order.mutable_serve()->set_open_ns(limits.open.count());
    order.mutable_serve()->set_idle_ns(limits.idle.count());
    order.mutable_serve()->set_total_ns(limits.total.count());
    order.mutable_serve()->set_hold_pings_ns(limits.hold_pings.count());
    ASSIGN_OR_RETURN(auto carried, children_.Open(order, std::move(connection.fd), MonotonicNow() + limits.open, stop));
    ShutdownOnStop guard(stop, carried->socket());
    v1::ChildOutcome outcome;
    return AwaitOutcome(*carried, MonotonicTime::max(), stop, &outcome);
  }

 private:
  const IsolatedBackend backend_;
  mutable Children children_;  // asking for them starts them
};

}  // namespace
}  // namespace isolated

std::unique_ptr<Transport> MakeIsolatedTransport(IsolatedBackend backend) {
  return std::make_unique<isolated::IsolatedTransport>(std::move(backend));
}

}  // namespace netsense
