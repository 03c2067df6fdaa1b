// Untrusted: the hellos, proofs and verdicts of a stranger, before anything is proved. What must hold: what is taken
// says the same when it is written again; nobody without the token proves it, and a proof counts for its own hellos
// alone.
#include "base/handshake/hello.h"

#include <algorithm>
#include <cstring>

#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

template <size_t N>
std::array<uint8_t, N> Bytes(Input& input) {
  std::array<uint8_t, N> bytes{};
  const std::string_view taken = input.Take(N);
  std::memcpy(bytes.data(), taken.data(), taken.size());
  return bytes;
}

Nonce NonceOf(const ClientHelloBytes& hello) {
  Nonce nonce{};
  std::copy_n(hello.begin() + 16, nonce.size(), nonce.begin());
  return nonce;
}

bool Same(const HelloOffer& a, const HelloOffer& b) {
  return a.version_min == b.version_min && a.version_max == b.version_max && a.has_token == b.has_token;
}

void Run(std::string_view bytes) {
  Input input(bytes);
  const HelloOffer ours{.has_token = input.Coin()};
  const std::string token = ours.has_token ? "the token of this cluster" : "";
  const size_t flipped = input.Byte();
  const auto client = Bytes<sizeof(ClientHelloBytes)>(input);
  const auto server = Bytes<sizeof(ServerHelloBytes)>(input);
  const auto proof = Bytes<sizeof(ClientProofBytes)>(input);
  const auto verdict = Bytes<sizeof(VerdictBytes)>(input);

  if (const auto offer = DecodeClientHello(client); offer.ok()) {
    const auto again = DecodeClientHello(EncodeClientHello(*offer, NonceOf(client)));
    MustHold(again.ok() && Same(*again, *offer), "a client's hello is the same when it is written again");
    const Agreement agreed = Agree(*offer, ours);
    if (agreed.answer == DoorAnswer::kAccepted) {
      MustHold(offer->has_token == ours.has_token, "whoever has a token and whoever has none do not agree");
      MustHold(offer->version_min <= agreed.version && agreed.version <= offer->version_max &&
                   ours.version_min <= agreed.version && agreed.version <= ours.version_max,
               "both sides have the version that they agree upon");
    }
    const auto told = DecodeServerHello(EncodeServerHello(ours, agreed, {}));
    MustHold(told.ok() && told->agreement.answer == agreed.answer && told->agreement.version == agreed.version,
             "the prober reads what the responder decided");
  }
  if (const auto hello = DecodeServerHello(server); hello.ok()) {
    const auto again = DecodeServerHello(EncodeServerHello(hello->offer, hello->agreement, NonceOf(server)));
    MustHold(again.ok() && Same(again->offer, hello->offer) && again->agreement.version == hello->agreement.version,
             "a server's hello is the same when it is written again");
    (void)RefusalStatus(hello->agreement.answer, hello->offer);
  }

  const ClientProofBytes right = MakeClientProof(token, client, server);
  MustHold(CheckClientProof(token, client, server, right), "the right proof is taken");
  constexpr size_t kMac = 32;
  MustHold(
      CheckClientProof(token, client, server, proof) == std::equal(proof.begin(), proof.begin() + kMac, right.begin()),
      "no other proof is taken");
  ClientHelloBytes other = client;
  other[flipped % other.size()] ^= 1;
  MustHold(!CheckClientProof(token, other, server, right), "a proof counts for its own hellos alone");
  MustHold(!CheckClientProof(token + "x", client, server, right), "a proof counts for its own token alone");

  const VerdictBytes accepted = MakeVerdict(DoorAnswer::kAccepted, token, client, server);
  MustHold(CheckVerdict(token, client, server, accepted).ok(), "the right verdict is taken");
  const bool forged =
      verdict[0] == 0 && verdict[1] == 0 && std::equal(verdict.begin() + 8, verdict.end(), accepted.begin() + 8);
  MustHold(CheckVerdict(token, client, server, verdict).ok() == forged, "no other verdict is taken");
  MustHold(!CheckVerdict(token, other, server, accepted).ok(), "a verdict counts for its own hellos alone");
}

const Harness kHarness("hello", Run);

}  // namespace
}  // namespace netsense::fuzz
