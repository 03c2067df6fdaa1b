#include "base/socket.h"
#include "transports/verbs/connection.h"
#include "transports/verbs/device.h"
#include "transports/verbs/factory.h"

namespace netsense {
namespace verbs {
namespace {

constexpr char kWrite[] = "write";
constexpr char kRead[] = "read";
constexpr uint32_t kMaxServiceLevel = 15, kMaxTrafficClass = 255;

absl::Status CheckRdmaOptions(const v1::TransportOptions& options) {
  if (options.service_level() > kMaxServiceLevel) return absl::InvalidArgumentError("a service level is 0 to 15");
  if (options.traffic_class() > kMaxTrafficClass) return absl::InvalidArgumentError("a traffic class is 0 to 255");
  const uint32_t mtu = options.path_mtu();
  if (mtu != 0 && mtu != 256 && mtu != 512 && mtu != 1024 && mtu != 2048 && mtu != 4096)
    return absl::InvalidArgumentError("a path MTU is 256, 512, 1024, 2048 or 4096 bytes");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FrameCarrier>> OpenCarrier(const DoorConnection& connection, bool prober,
                                                          const std::string& sysfs, MonotonicTime deadline,
                                                          const std::stop_token& stop) {
  const v1::TransportOptions& options = connection.request.options();
  if (auto status = CheckRdmaOptions(options); !status.ok()) return status;
  std::optional<uint32_t> gid_index;
  if (prober && options.has_gid_index()) gid_index = options.gid_index();
  if (!prober && options.has_peer_gid_index()) gid_index = options.peer_gid_index();
  auto port = ChoosePort(LocalAddress(connection.fd.get()), prober ? options.device() : options.peer_device(),
                         gid_index, sysfs);
  if (!port.ok()) return port.status();
  const v1::WaitMode wait_mode = prober ? connection.request.wait_mode() : connection.grant.wait_mode();
  ConnectionOptions wish{.port = *port,
                         .nonce = connection.grant.session_nonce(),
                         .busy_poll = wait_mode == v1::WAIT_MODE_BUSY_POLL,
                         .streams = connection.request.purpose() == v1::SESSION_PURPOSE_STREAM,
                         .read = options.mode() == kRead,
                         .service_level = static_cast<uint8_t>(options.service_level()),
                         .traffic_class = static_cast<uint8_t>(options.traffic_class()),
                         .path_mtu = options.path_mtu()};
  auto opened = Connection::Open(wish, connection.fd.get(), prober, deadline, stop);
  if (!opened.ok()) return opened.status();
  return *std::move(opened);
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
            .modes = {kWrite, kRead}};
  }
  absl::Status availability() const override {
    if (auto library = LoadLibrary(); !library.ok()) return library.status();
    return AnyActivePort(sysfs_);
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    auto status = CheckOptions(connection.request.options(), name(), capabilities(),
                               {.device = true, .rdma = true, .traffic_class = true});
    if (!status.ok()) return status;
    ShutdownOnStop guard(stop, connection.fd.get());
    auto carrier = OpenCarrier(connection, true, sysfs_, deadline, stop);
    if (!carrier.ok()) return carrier.status();
    return MakeFrameSession(std::move(connection), *std::move(carrier));
  }

  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    ShutdownOnStop guard(stop, connection.fd.get());
    auto carrier = OpenCarrier(connection, false, sysfs_, MonotonicNow() + limits.open, stop);
    if (!carrier.ok()) return carrier.status();
    return ServeFrames(connection, **carrier, limits, stop);
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
