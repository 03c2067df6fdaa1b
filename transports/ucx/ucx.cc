#include <ucp/api/ucp.h>

#include <algorithm>

#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/frame_session.h"
#include "transports/ucx/context.h"
#include "transports/ucx/device.h"
#include "transports/ucx/endpoint.h"
#include "transports/ucx/factory.h"

namespace netsense {
namespace ucx {
namespace {

// What a session does without a wish: the device of its address, the network and no shared memory.
constexpr char kNetworkOnly[] = "^shm";

ContextChoice ChoiceOf(const DoorConnection& connection, bool prober, bool busy_poll) {
  const v1::TransportOptions& options = connection.request.options();
  ContextChoice choice;
  choice.net_devices = prober ? options.device() : options.peer_device();
  if (choice.net_devices.empty() && getenv("UCX_NET_DEVICES") == nullptr)
    choice.net_devices = NetDevicesOf(LocalAddress(connection.fd.get()));
  choice.tls = TextOption(options, kUcxTls);
  if (choice.tls.empty() && getenv("UCX_TLS") == nullptr) choice.tls = kNetworkOnly;
  choice.max_rndv_rails = NumberOption(options, kUcxRails).value_or(1);
  choice.wakeup = !busy_poll;
  return choice;
}

absl::StatusOr<std::unique_ptr<FrameCarrier>> OpenCarrier(const DoorConnection& connection, bool prober, bool busy_poll,
                                                          MonotonicTime deadline, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto context, Context::Get(ChoiceOf(connection, prober, busy_poll)));
  ASSIGN_OR_RETURN(auto endpoint, Endpoint::Connect(std::move(context), connection, busy_poll, deadline, stop));
  return endpoint;
}

class UcxTransport final : public Transport {
 public:
  std::string_view name() const override { return "ucx"; }
  Capabilities capabilities() const override { return UcxCapabilities(); }

  absl::Status availability() const override {
    auto context = Context::Get({.net_devices = "", .tls = kNetworkOnly});
    return context.ok() ? absl::OkStatus() : absl::UnavailableError(context.status().message());
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    ShutdownOnStop guard(stop, connection.fd.get());
    const bool busy_poll = connection.request.wait_mode() == v1::WAIT_MODE_BUSY_POLL;
    ASSIGN_OR_RETURN(auto carrier, OpenCarrier(connection, true, busy_poll, deadline, stop));
    return MakeFrameSession(std::move(connection), std::move(carrier));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    ShutdownOnStop guard(stop, connection.fd.get());
    const bool busy_poll = connection.grant.wait_mode() == v1::WAIT_MODE_BUSY_POLL;
    ASSIGN_OR_RETURN(auto carrier, OpenCarrier(connection, false, busy_poll, MonotonicNow() + limits.open, stop));
    return ServeFrames(connection, *carrier, limits, stop);
  }
};

}  // namespace
}  // namespace ucx

std::unique_ptr<Transport> MakeUcxTransport() { return std::make_unique<ucx::UcxTransport>(); }

}  // namespace netsense
