// What sessions do alike whose end is the end of the door's connection: they refuse what is too large before the peer
// is asked, end when they are stopped, and are over after a failure. How a ping and a stream go is the backend's.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "transports/transport.h"

namespace netsense {

class DoorSession : public Session {
 public:
  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) final;
  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) final;
  const v1::SessionReply::Grant& peer() const final { return grant_; }

 protected:
  struct Most {
    uint32_t ping_payload_bytes, message_bytes;
  };
  // `connection` has its descriptor still, which whoever derives keeps open.
  DoorSession(const DoorConnection& connection, const Most& most)
      : grant_(connection.grant),
        max_stream_bytes_(connection.request.max_stream_bytes()),
        door_(connection.fd.get()),
        most_(most) {}

  // Of what fits. While they run a stop shuts the connection down.
  virtual absl::StatusOr<RttSample> RunPing(const PingSpec& spec, MonotonicTime deadline,
                                            const std::stop_token& stop) = 0;
  virtual absl::StatusOr<StreamSample> RunStream(const StreamSpec& spec, MonotonicTime deadline,
                                                 const std::stop_token& stop) = 0;

  // The session is over. Done for whatever fails, but for a ping that is lost (DeadlineExceeded).
  void Break();

  uint64_t nonce() const { return grant_.session_nonce(); }
  uint64_t max_stream_bytes() const { return max_stream_bytes_; }
  int door() const { return door_; }

 private:
  const v1::SessionReply::Grant grant_;
  const uint64_t max_stream_bytes_;
  const int door_;
  const Most most_;
  bool broken_ = false;
};

}  // namespace netsense
