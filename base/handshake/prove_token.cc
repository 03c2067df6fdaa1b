#include "base/handshake/prove_token.h"

#include <span>

#include "base/handshake/hello.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {

namespace {

// The head of a SETTINGS frame, with which a server begins (RFC 9113, 3.4 and 4.1): length, type, flags, stream 0.
bool BeginsAsHttp2(std::span<const uint8_t, kHelloMagicBytes> bytes) {
  return bytes[0] == 0 && bytes[3] == 4 && bytes[4] == 0 && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0;
}

}  // namespace

absl::StatusOr<ProvenConnection> ProveToken(int fd, const std::string& token, MonotonicTime deadline,
                                            std::stop_token stop) {
  Nonce nonce;
  if (!FillRandom(nonce)) return absl::InternalError("no randomness for a nonce");
  ClientHelloBytes client = EncodeClientHello({.has_token = !token.empty()}, nonce);
  ServerHelloBytes server{};
  RETURN_IF_ERROR(WriteAll(fd, client, deadline, stop));
  const auto magic = std::span(server).first<kHelloMagicBytes>();
  RETURN_IF_ERROR(ReadExactly(fd, magic, deadline, stop));
  if (!IsHelloMagic(magic)) {
    constexpr const char* kWords = "what answers there does not speak netsense's protocol";
    return BeginsAsHttp2(magic) ? absl::UnimplementedError(kWords) : absl::UnavailableError(kWords);
  }
  RETURN_IF_ERROR(ReadExactly(fd, std::span(server).subspan(kHelloMagicBytes), deadline, stop));
  auto hello = DecodeServerHello(server);
  if (!hello.ok()) return absl::UnavailableError(hello.status().message());
  if (hello->agreement.answer != DoorAnswer::kAccepted) return RefusalStatus(hello->agreement.answer, hello->offer);
  // A responder that claims to have no token must not talk us into going on without one.
  if (hello->offer.has_token != !token.empty())
    return RefusalStatus(token.empty() ? DoorAnswer::kTokenRequired : DoorAnswer::kNoToken, hello->offer);
  uint16_t version = hello->agreement.version;
  if (version < kProtocolVersionMin || version > kProtocolVersionMax)
    return RefusalStatus(DoorAnswer::kVersion, hello->offer);

  VerdictBytes verdict{};
  RETURN_IF_ERROR(WriteAll(fd, MakeClientProof(token, client, server), deadline, stop));
  RETURN_IF_ERROR(ReadExactly(fd, verdict, deadline, stop));
  RETURN_IF_ERROR(CheckVerdict(token, client, server, verdict));
  return ProvenConnection{version, FrameSeal(version, token, client, server), hello->offer.wants_token_shown};
}

}  // namespace netsense
