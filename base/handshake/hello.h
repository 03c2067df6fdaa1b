// The first bytes on the door: fixed-size hellos with version range and nonces, then mutual proof of the shared token.
// Pure functions over bytes; who sends them when stands in prove_token.h (the side that connects, a prober say) and
// handshake_server.h (the side that listens, a responder say).
//
//   prober                                    responder
//   ClientHello (64 bytes)            ──►
//                                     ◄──     ServerHello (64): its version range and nonce, or why it ends here
//   ClientProof (64): HMAC            ──►
//                                     ◄──     Verdict (40): accepted, and its own HMAC; or why not
//
// The responder never sends more bytes than it received before the prober is authenticated, and proves nothing to a
// stranger. HMAC-SHA256 (RFC 2104) over a label, both hellos; the key is the token. Integers are big-endian. The
// connection is authenticated at its start, not encrypted: netsense sends nothing secret over it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace netsense {

inline constexpr uint16_t kProtocolVersionMin = 1;
inline constexpr uint16_t kProtocolVersionMax = 2;  // 2: frame_seal.h

using ClientHelloBytes = std::array<uint8_t, 64>;
using ServerHelloBytes = std::array<uint8_t, 64>;
using ClientProofBytes = std::array<uint8_t, 64>;
using VerdictBytes = std::array<uint8_t, 40>;
using Nonce = std::array<uint8_t, 32>;

inline constexpr size_t kHelloMagicBytes = 8;
// Whether these are how a hello of ours begins.
bool IsHelloMagic(std::span<const uint8_t, kHelloMagicBytes> bytes);

// What a side offers.
struct HelloOffer {
  uint16_t version_min = kProtocolVersionMin;
  uint16_t version_max = kProtocolVersionMax;
  bool has_token = false;
  bool wants_token_shown = false;  // an embedded GCS that takes plain gRPC, too: each call is to show the token
};

enum class DoorAnswer : uint16_t {
  kAccepted = 0,
  kVersion = 1,        // no common version
  kTokenRequired = 2,  // the responder has a token, the prober none
  kNoToken = 3,        // the prober has a token, the responder none
  kTokenWrong = 4,
};

// False when the system has no randomness to give.
bool FillRandom(std::span<uint8_t> bytes);

ClientHelloBytes EncodeClientHello(const HelloOffer& offer, const Nonce& nonce);
// InvalidArgument when these are not the bytes of a netsense prober.
absl::StatusOr<HelloOffer> DecodeClientHello(const ClientHelloBytes& bytes);

// The responder's decision about a client hello, and the version agreed upon (0 = none): the highest both have.
struct Agreement {
  DoorAnswer answer = DoorAnswer::kAccepted;
  uint16_t version = 0;
};
Agreement Agree(const HelloOffer& client, const HelloOffer& server);

ServerHelloBytes EncodeServerHello(const HelloOffer& offer, const Agreement& agreement, const Nonce& nonce);
struct ServerHello {
  HelloOffer offer;
  Agreement agreement;
};
absl::StatusOr<ServerHello> DecodeServerHello(const ServerHelloBytes& bytes);

ClientProofBytes MakeClientProof(const std::string& token, const ClientHelloBytes& client,
                                 const ServerHelloBytes& server);
bool CheckClientProof(const std::string& token, const ClientHelloBytes& client, const ServerHelloBytes& server,
                      const ClientProofBytes& proof);

VerdictBytes MakeVerdict(DoorAnswer answer, const std::string& token, const ClientHelloBytes& client,
                         const ServerHelloBytes& server);
// Ok only if the responder accepted and proved the token. Unauthenticated and FailedPrecondition say why in words.
absl::Status CheckVerdict(const std::string& token, const ClientHelloBytes& client, const ServerHelloBytes& server,
                          const VerdictBytes& verdict);

// Words for the prober about a responder that did not accept.
absl::Status RefusalStatus(DoorAnswer answer, const HelloOffer& server);

}  // namespace netsense
