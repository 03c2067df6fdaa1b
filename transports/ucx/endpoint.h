// One UCX connection: a worker of its own, an endpoint, and active messages that carry frames. Used by one thread.
#pragma once

#include <ucp/api/ucp.h>

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "transports/frame_session.h"
#include "transports/transport.h"
#include "transports/ucx/context.h"

namespace netsense::ucx {

inline constexpr uint32_t kMaxPingPayload = 64 * 1024;
inline constexpr uint32_t kChunkBytes = 1 << 20;  // of a stream, unless asked otherwise
inline constexpr uint32_t kMaxChunkBytes = 8 << 20;

class Endpoint final : public FrameCarrier {
 public:
  // Addresses are exchanged over the door's connection, and its end is the endpoint's end. It outlives the endpoint.
  // Returns when frames have gone both ways.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Connect(std::shared_ptr<Context> context, const DoorConnection& door,
                                                           bool busy_poll, MonotonicTime deadline,
                                                           const std::stop_token& stop);
  ~Endpoint() override;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  absl::Status Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Post() override;
  absl::StatusOr<Incoming> Receive(MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) override;
  absl::Status Flush(MonotonicTime deadline, const std::stop_token& stop) override;
  uint32_t max_ping_payload() const override { return kMaxPingPayload; }
  uint32_t usual_chunk() const override { return kChunkBytes; }
  uint32_t max_chunk() const override { return kMaxChunkBytes; }
  // The device as UCX chose it: "tcp/eth0", "rc_verbs/mlx5_0:1".
  SessionDetails details() const override { return {.mode = "am", .device = Lane()}; }

 private:
  // A frame under way. It stays in place until UCX is done with it.
  struct Outgoing {
    std::vector<uint8_t> frame;
    const void* payload = nullptr;
    size_t payload_bytes = 0;
    ucs_status_ptr_t request = nullptr;
  };

  Endpoint(std::shared_ptr<Context> context, int door, bool busy_poll);
  absl::Status Start(MonotonicTime deadline, const std::stop_token& stop);
  template <typename Done>
  absl::Status Drive(Done done, MonotonicTime deadline, const std::stop_token& stop);
  absl::Status LookAtDoor();
  absl::Status Sleep(MonotonicTime deadline);
  bool Completed(Outgoing& frame);
  // A free place; waits for one when all are under way.
  absl::StatusOr<Outgoing*> Acquire(MonotonicTime deadline, const std::stop_token& stop);
  absl::Status Post(Outgoing& frame);
  const uint8_t* Chunk(size_t bytes);
  std::string Lane() const;
  bool LeaveBehind(size_t most);

  static ucs_status_t OnMessage(void* self, const void* header, size_t header_bytes, void* data, size_t bytes,
                                const ucp_am_recv_param_t* param);
  static void OnDataReceived(void* request, ucs_status_t status, size_t bytes, void* self);
  static void OnError(void* self, ucp_ep_h ep, ucs_status_t status);

  const std::shared_ptr<Context> context_;
  const int door_;
  const bool busy_poll_;
  ucp_worker_h worker_ = nullptr;
  ucp_ep_h ep_ = nullptr;
  int event_fd_ = -1;
  bool tells_of_dead_peer_ = true;
  bool connected_ = false;  // on both sides
  absl::Status failure_;
  std::array<Outgoing, 8> outgoing_;
  Outgoing* prepared_ = nullptr;
  std::deque<Incoming> incoming_;
  // Rendezvous under way, oldest first: they complete in any order and are handed on in this one.
  struct Landing {
    Incoming message;
    bool done = false;
  };
  std::deque<std::unique_ptr<Landing>> landings_;
  // Of the largest chunk, each; only what is used is ever touched, by the thread that is bound next to the port.
  std::unique_ptr<uint8_t[]> landing_buffer_;
  std::unique_ptr<uint8_t[]> chunk_;
  size_t chunk_touched_ = 0;
};

}  // namespace netsense::ucx
