#include "base/handshake/hello.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

constexpr std::string_view kMagic = "NETSENSE";
static_assert(kMagic.size() == kHelloMagicBytes);
constexpr size_t kMacBytes = 32;
// Offsets shared by both hellos.
constexpr size_t kVersionMinAt = 8, kVersionMaxAt = 10, kFlagsAt = 12, kNonceAt = 16;
// The server's hello only.
constexpr size_t kChosenAt = 48, kAnswerAt = 50;
constexpr uint16_t kHasToken = 1, kWantsTokenShown = 2;

using Mac = std::array<uint8_t, kMacBytes>;

void Store16(std::span<uint8_t> bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value & 0xff);
}

uint16_t Load16(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::array<uint8_t, 64> EncodeHello(const HelloOffer& offer, const Nonce& nonce) {
  std::array<uint8_t, 64> bytes{};
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  Store16(bytes, kVersionMinAt, offer.version_min);
  Store16(bytes, kVersionMaxAt, offer.version_max);
  Store16(bytes, kFlagsAt,
          static_cast<uint16_t>((offer.has_token ? kHasToken : 0) | (offer.wants_token_shown ? kWantsTokenShown : 0)));
  std::copy(nonce.begin(), nonce.end(), bytes.begin() + kNonceAt);
  return bytes;
}

absl::StatusOr<HelloOffer> DecodeHello(std::span<const uint8_t> bytes) {
  if (!IsHelloMagic(bytes.first<kHelloMagicBytes>()))
    return absl::UnavailableError("what answers there does not speak netsense's protocol");
  HelloOffer offer{Load16(bytes, kVersionMinAt), Load16(bytes, kVersionMaxAt),
                   (Load16(bytes, kFlagsAt) & kHasToken) != 0, (Load16(bytes, kFlagsAt) & kWantsTokenShown) != 0};
  if (offer.version_min > offer.version_max) return absl::UnavailableError("a hello with an empty version range");
  return offer;
}

Mac ComputeMac(std::string_view label, const std::string& token, const ClientHelloBytes& client,
               const ServerHelloBytes& server) {
  std::vector<uint8_t> message(label.begin(), label.end());
  message.insert(message.end(), client.begin(), client.end());
  message.insert(message.end(), server.begin(), server.end());
  Mac mac{};
  unsigned size = kMacBytes;
  HMAC(EVP_sha256(), token.data(), static_cast<int>(token.size()), message.data(), message.size(), mac.data(), &size);
  return mac;
}

constexpr std::string_view kClientLabel = "netsense prober v1";
constexpr std::string_view kServerLabel = "netsense responder v1";

}  // namespace

bool IsHelloMagic(std::span<const uint8_t, kHelloMagicBytes> bytes) {
  return std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
}

bool FillRandom(std::span<uint8_t> bytes) { return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1; }

ClientHelloBytes EncodeClientHello(const HelloOffer& offer, const Nonce& nonce) { return EncodeHello(offer, nonce); }

absl::StatusOr<HelloOffer> DecodeClientHello(const ClientHelloBytes& bytes) { return DecodeHello(bytes); }

Agreement Agree(const HelloOffer& client, const HelloOffer& server) {
  uint16_t version = std::min(client.version_max, server.version_max);
  if (version < std::max(client.version_min, server.version_min)) return {DoorAnswer::kVersion, 0};
  if (server.has_token && !client.has_token) return {DoorAnswer::kTokenRequired, version};
  if (!server.has_token && client.has_token) return {DoorAnswer::kNoToken, version};
  return {DoorAnswer::kAccepted, version};
}

ServerHelloBytes EncodeServerHello(const HelloOffer& offer, const Agreement& agreement, const Nonce& nonce) {
  ServerHelloBytes bytes = EncodeHello(offer, nonce);
  Store16(bytes, kChosenAt, agreement.version);
  Store16(bytes, kAnswerAt, static_cast<uint16_t>(agreement.answer));
  return bytes;
}

absl::StatusOr<ServerHello> DecodeServerHello(const ServerHelloBytes& bytes) {
  ASSIGN_OR_RETURN(auto offer, DecodeHello(bytes));
  uint16_t answer = Load16(bytes, kAnswerAt);
  if (answer > static_cast<uint16_t>(DoorAnswer::kTokenWrong))
    return absl::UnavailableError("a hello with an unknown answer");
  return ServerHello{offer, {static_cast<DoorAnswer>(answer), Load16(bytes, kChosenAt)}};
}

ClientProofBytes MakeClientProof(const std::string& token, const ClientHelloBytes& client,
                                 const ServerHelloBytes& server) {
  Mac mac = ComputeMac(kClientLabel, token, client, server);
  ClientProofBytes proof{};
  std::copy(mac.begin(), mac.end(), proof.begin());
  return proof;
}

bool CheckClientProof(const std::string& token, const ClientHelloBytes& client, const ServerHelloBytes& server,
                      const ClientProofBytes& proof) {
  Mac mac = ComputeMac(kClientLabel, token, client, server);
  return CRYPTO_memcmp(mac.data(), proof.data(), kMacBytes) == 0;
}

VerdictBytes MakeVerdict(DoorAnswer answer, const std::string& token, const ClientHelloBytes& client,
                         const ServerHelloBytes& server) {
  VerdictBytes bytes{};
  Store16(bytes, 0, static_cast<uint16_t>(answer));
  if (answer == DoorAnswer::kAccepted) {
    Mac mac = ComputeMac(kServerLabel, token, client, server);
    std::copy(mac.begin(), mac.end(), bytes.begin() + 8);
  }
  return bytes;
}

absl::Status CheckVerdict(const std::string& token, const ClientHelloBytes& client, const ServerHelloBytes& server,
                          const VerdictBytes& verdict) {
  uint16_t answer = Load16(verdict, 0);
  if (answer != static_cast<uint16_t>(DoorAnswer::kAccepted)) return RefusalStatus(static_cast<DoorAnswer>(answer), {});
  Mac mac = ComputeMac(kServerLabel, token, client, server);
  if (CRYPTO_memcmp(mac.data(), verdict.data() + 8, kMacBytes) != 0)
    return absl::UnauthenticatedError("the peer could not prove that it knows our token: it is not trusted");
  return absl::OkStatus();
}

absl::Status RefusalStatus(DoorAnswer answer, const HelloOffer& server) {
  switch (answer) {
    case DoorAnswer::kAccepted:
      return absl::OkStatus();
    case DoorAnswer::kVersion:
      return absl::FailedPreconditionError(absl::StrCat("no common protocol version: the peer speaks ",
                                                        server.version_min, " to ", server.version_max, ", we speak ",
                                                        kProtocolVersionMin, " to ", kProtocolVersionMax));
    case DoorAnswer::kTokenRequired:
      return absl::UnauthenticatedError(
          "the peer requires a token and we have none: give both nodes the same token file");
    case DoorAnswer::kNoToken:
      return absl::UnauthenticatedError("the peer has no token and we have one: give both nodes the same token file");
    case DoorAnswer::kTokenWrong:
      return absl::UnauthenticatedError("the peer refused our token: the two nodes have different tokens");
  }
  return absl::UnavailableError("the peer gave an unknown answer");
}

}  // namespace netsense
