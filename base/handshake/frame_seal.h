// From protocol version 2 on, the first framed message of each side is bound to the proof of the token: whoever sits in
// the middle of a connection can't exchange it for another once the hellos are over. Behind the frame's bytes stand 32
// more: HMAC-SHA256 (RFC 2104) over a label for the direction, both hellos and the frame with its length; the key is
// the token. Pure functions over bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/handshake/hello.h"

namespace netsense {

class FrameSeal {
 public:
  // Of a connection of version 1: seals nothing.
  FrameSeal() = default;
  FrameSeal(uint16_t version, std::string token, const ClientHelloBytes& client, const ServerHelloBytes& server);

  size_t size() const { return seals_ ? 32 : 0; }
  // What stands behind `frame` (its length and its message) on the wire: size() bytes.
  std::string OfRequest(std::string_view frame) const;
  std::string OfReply(std::string_view frame) const;
  // In a time that does not depend on where two seals differ.
  static bool Same(std::string_view a, std::string_view b);

 private:
  std::string Of(std::string_view label, std::string_view frame) const;

  bool seals_ = false;
  std::string token_;
  ClientHelloBytes client_{};
  ServerHelloBytes server_{};
};

}  // namespace netsense
