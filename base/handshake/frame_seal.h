// From protocol version 2 on, framed messages are bound to the proof of the token: whoever sits in the middle of a
// connection can't exchange one for another, leave one out or say one twice, once the hellos are over. Behind the
// frame's bytes stand 32 more: HMAC-SHA256 (RFC 2104) over a label for the side that sends, both hellos, the frame's
// number on that side (8 bytes, big-endian, from 0) and the frame with its length; the key is the token.
#pragma once

#include <array>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"

namespace netsense {

enum class SealedBy { kProber, kResponder };

// Of one connection. Used by one thread at a time.
class FrameSeal {
 public:
  // Of a connection of version 1: seals nothing.
  FrameSeal() = default;
  FrameSeal(uint16_t version, std::string token, const ClientHelloBytes& client, const ServerHelloBytes& server);

  size_t size() const { return seals_ ? 32 : 0; }
  // What stands behind the next `frame` (its length and its message) of that side: size() bytes.
  std::string Next(SealedBy side, std::string_view frame);
  // In a time that does not depend on where two seals differ.
  static bool Same(std::string_view a, std::string_view b);

 private:
  bool seals_ = false;
  std::string token_;
  ClientHelloBytes client_{};
  ServerHelloBytes server_{};
  std::array<uint64_t, 2> sealed_{};  // by either side
};

// As WriteFrame() and ReadFrame(), with seals. Unauthenticated: the frame was changed on its way.
absl::Status WriteSealed(int fd, const google::protobuf::MessageLite& message, SealedBy side, FrameSeal* seal,
                         MonotonicTime deadline, std::stop_token stop);
absl::Status ReadSealed(int fd, google::protobuf::MessageLite* message, SealedBy side, FrameSeal* seal,
                        MonotonicTime deadline, std::stop_token stop);

}  // namespace netsense
