// One RC queue pair with all that belongs to it, carrying frames. Used by one thread.
#pragma once

#include <stop_token>
#include <vector>

#include "netsense/verbs.pb.h"
#include "transports/frame_session.h"
#include "transports/verbs/device.h"
#include "transports/verbs/resources.h"

namespace netsense::verbs {

inline constexpr uint32_t kMaxPingPayload = 16 * 1024;  // pinned several times per session: small on purpose
inline constexpr uint32_t kChunkBytes = 64 * 1024;

struct ConnectionOptions {
  PortChoice port;
  uint64_t nonce = 0;  // the session's
  bool busy_poll = false;
  bool streams = false;  // registers a buffer that the peer may write to and read from
  bool read = false;     // the receiver of a stream fetches it
  uint8_t service_level = 0;
  uint8_t traffic_class = 0;
  uint32_t path_mtu = 0;  // bytes; 0 = the smaller of both ports
};

class Connection final : public FrameCarrier {
 public:
  // The prober speaks first over `door` (the door's connection, which outlives this). Codes as Transport::Connect.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options, int door, bool prober,
                                                          MonotonicTime deadline, const std::stop_token& stop);
  ~Connection() override = default;

  absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Post() override;
  absl::StatusOr<Incoming> Receive(MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Flush(MonotonicTime deadline, const std::stop_token& stop) override;
  bool pulls() const override { return options_.read; }
  absl::StatusOr<StreamSample> Pull(const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                                    const std::stop_token& stop) override;
  uint32_t max_ping_payload() const override { return kMaxPingPayload; }
  uint32_t usual_chunk() const override { return kChunkBytes; }
  uint32_t max_chunk() const override { return kChunkBytes; }
  SessionDetails details() const override;

 private:
  Connection(const Library* library, const ConnectionOptions& options, int door)
      : library_(library), options_(options), door_(door) {}

  absl::Status Create();
  absl::Status CreatePair();
  absl::StatusOr<Region> Register(size_t bytes, int access);
  v1::VerbsEndpoint OwnEndpoint() const;
  absl::Status ConnectTo(const v1::VerbsEndpoint& peer);
  absl::Status PostReceive(uint64_t slot);
  absl::Status PostTransfer(ibv_wr_opcode opcode, uint32_t bytes);

  absl::Status TakeCompletions();
  absl::Status TakeReceived(const ibv_wc& completion, MonotonicTime now);
  absl::Status TakeAsyncEvents();
  bool DeviceStillThere() const;
  absl::Status LookAtDevice();
  absl::Status Sleep(MonotonicTime deadline);
  template <typename Done>
  absl::Status Drive(Done done, MonotonicTime deadline, const std::stop_token& stop);

  const Library* const library_;
  const ConnectionOptions options_;
  const int door_;
  ContextHandle context_;
  uint64_t device_inode_ = 0;  // of its entry in sysfs
  DomainHandle domain_;
  Region outgoing_;  // one frame
  Region incoming_;  // slots for frames
  Region buffer_;    // what streams are written to and read from
  ChannelHandle channel_;
  QueueHandle queue_;
  PairHandle pair_;
  uint64_t slots_ = 0;  // for frames that come in
  uint32_t max_inline_ = 0;
  uint32_t path_mtu_ = 0;  // bytes, of our end
  uint32_t packet_sequence_ = 0;
  v1::VerbsEndpoint peer_;
  uint32_t read_depth_ = 1;
  size_t frame_bytes_ = 0;  // of the prepared frame
  bool frame_under_way_ = false;
  uint32_t transfers_under_way_ = 0;  // writes or reads
  std::vector<uint32_t> fetched_;     // bytes of completed reads
  std::vector<Incoming> received_;    // from `next_` on
  size_t next_ = 0;
  MonotonicTime completed_at_{};  // the newest completion was found then
  MonotonicTime looked_at_device_ = MonotonicNow();
};

}  // namespace netsense::verbs
