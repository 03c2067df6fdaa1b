#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/verbs/connection.h"
#include "transports/verbs/device.h"
#include "transports/verbs/factory.h"

namespace netsense {
namespace verbs {
namespace {

constexpr char kWrite[] = "write";
constexpr char kRead[] = "read";
constexpr char kGidIndex[] = "gid-index", kPeerGidIndex[] = "peer-gid-index", kPathMtu[] = "path-mtu";

std::vector<OptionSpec> Options() {
  return {
      {.name = kGidIndex, .flags = "-x,--gid-index", .help = "our GID (default: RoCE v2, of the address)", .most = 255},
      {.name = kPeerGidIndex, .flags = "--peer-gid-index", .help = "the responder's GID", .most = 255},
      {.name = kServiceLevel, .flags = "-S,--sl", .help = "service level, both ways", .most = 15},
      {.name = kPathMtu,
       .flags = "-m,--mtu,--path-mtu",
       .help = "path MTU (default: the smaller of both ports)",
       .choices = {256, 512, 1024, 2048, 4096}},
      TrafficClassOption()};
}

absl::StatusOr<std::unique_ptr<FrameCarrier>> OpenCarrier(const DoorConnection& connection, bool prober,
                                                          const std::string& sysfs, MonotonicTime deadline,
                                                          const std::stop_token& stop) {
  const v1::TransportOptions& options = connection.request.options();
  ASSIGN_OR_RETURN(auto port,
                   ChoosePort(LocalAddress(connection.fd.get()), prober ? options.device() : options.peer_device(),
                              NumberOption(options, prober ? kGidIndex : kPeerGidIndex), sysfs));
  const v1::WaitMode wait_mode = prober ? connection.request.wait_mode() : connection.grant.wait_mode();
  ConnectionOptions wish{.port = port,
                         .nonce = connection.grant.session_nonce(),
                         .busy_poll = wait_mode == v1::WAIT_MODE_BUSY_POLL,
                         .streams = connection.request.purpose() == v1::SESSION_PURPOSE_STREAM,
                         .read = options.mode() == kRead,
                         .service_level = static_cast<uint8_t>(NumberOption(options, kServiceLevel).value_or(0)),
                         .traffic_class = static_cast<uint8_t>(NumberOption(options, kTrafficClass).value_or(0)),
                         .path_mtu = NumberOption(options, kPathMtu).value_or(0)};
  ASSIGN_OR_RETURN(auto opened, Connection::Open(wish, connection.fd.get(), prober, deadline, stop));
  return opened;
}

class VerbsTransport final : public Transport {
 public:
  explicit VerbsTransport(std::string sysfs) : sysfs_(std::move(sysfs)) {}

  std::string_view name() const override { return "verbs"; }
  Capabilities capabilities() const override {
    return {.ping = true,
            .stream_to_peer = true,
            .stream_from_peer = true,
            .busy_poll = true,
            .responder_hold = true,
            .max_ping_payload_bytes = kMaxPingPayload,
            .max_message_bytes = kChunkBytes,
            .modes = {kWrite, kRead},
            .devices = "rxe0 or mlx5_0:1",
            .rdma = true,
            .needs_rdma = true,
            .options = Options()};
  }
  absl::Status availability() const override {
    if (auto library = LoadLibrary(); !library.ok()) return library.status();
    return AnyActivePort(sysfs_);
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    ShutdownOnStop guard(stop, connection.fd.get());
    ASSIGN_OR_RETURN(auto carrier, OpenCarrier(connection, true, sysfs_, deadline, stop));
    return MakeFrameSession(std::move(connection), std::move(carrier));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    ShutdownOnStop guard(stop, connection.fd.get());
    ASSIGN_OR_RETURN(auto carrier, OpenCarrier(connection, false, sysfs_, MonotonicNow() + limits.open, stop));
    return ServeFrames(connection, *carrier, limits, stop);
  }

 private:
  const std::string sysfs_;
};

}  // namespace
}  // namespace verbs

std::unique_ptr<Transport> MakeVerbsTransport(const std::string& sysfs) {
  return std::make_unique<verbs::VerbsTransport>(sysfs);
}

}  // namespace netsense
