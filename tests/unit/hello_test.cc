#include "base/handshake/hello.h"

#include <gtest/gtest.h>

#include "base/handshake/frame_seal.h"

namespace netsense {
namespace {

struct Exchange {
  ClientHelloBytes client;
  ServerHelloBytes server;
};

Exchange MakeExchange() {
  Nonce a, b;
  EXPECT_TRUE(FillRandom(a));
  EXPECT_TRUE(FillRandom(b));
  EXPECT_NE(a, b);
  return {EncodeClientHello({.has_token = true}, a),
          EncodeServerHello({.has_token = true}, {DoorAnswer::kAccepted, 1}, b)};
}

TEST(Hello, SurvivesTheWire) {
  Nonce nonce{};
  auto client = DecodeClientHello(EncodeClientHello({.version_min = 3, .version_max = 7, .has_token = true}, nonce));
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->version_min, 3);
  EXPECT_EQ(client->version_max, 7);
  EXPECT_TRUE(client->has_token);
  auto server =
      DecodeServerHello(EncodeServerHello({.version_min = 2, .version_max = 4}, {DoorAnswer::kVersion, 0}, nonce));
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(server->offer.version_max, 4);
  EXPECT_EQ(server->agreement.answer, DoorAnswer::kVersion);
}

TEST(Hello, RefusesForeignBytes) {
  ClientHelloBytes bytes{};
  EXPECT_FALSE(DecodeClientHello(bytes).ok());
  ServerHelloBytes http{};
  std::string text = "HTTP/1.1 400 Bad Request";
  std::copy(text.begin(), text.end(), http.begin());
  EXPECT_FALSE(DecodeServerHello(http).ok());
}

TEST(Hello, AgreesOnTheHighestCommonVersion) {
  EXPECT_EQ(Agree({.version_min = 1, .version_max = 5}, {.version_min = 2, .version_max = 3}).version, 3);
  EXPECT_EQ(Agree({.version_min = 4, .version_max = 5}, {.version_min = 2, .version_max = 3}).answer,
            DoorAnswer::kVersion);
  EXPECT_EQ(Agree({.version_min = 1, .version_max = 1}, {.version_min = 2, .version_max = 3}).answer,
            DoorAnswer::kVersion);
}

TEST(Hello, NeitherSideGoesOnWithoutAToken) {
  EXPECT_EQ(Agree({.has_token = false}, {.has_token = true}).answer, DoorAnswer::kTokenRequired);
  EXPECT_EQ(Agree({.has_token = true}, {.has_token = false}).answer, DoorAnswer::kNoToken);
  EXPECT_EQ(Agree({.has_token = true}, {.has_token = true}).answer, DoorAnswer::kAccepted);
}

TEST(Proof, HoldsForTheSameTokenOnly) {
  Exchange e = MakeExchange();
  auto proof = MakeClientProof("secret", e.client, e.server);
  EXPECT_TRUE(CheckClientProof("secret", e.client, e.server, proof));
  EXPECT_FALSE(CheckClientProof("Secret", e.client, e.server, proof));
  EXPECT_FALSE(CheckClientProof("", e.client, e.server, proof));
}

TEST(Proof, CannotBeReplayedOrReflected) {
  Exchange e = MakeExchange(), later = MakeExchange();
  auto proof = MakeClientProof("secret", e.client, e.server);
  EXPECT_FALSE(CheckClientProof("secret", e.client, later.server, proof));
  EXPECT_FALSE(CheckClientProof("secret", later.client, e.server, proof));
  // The prober's own proof, sent back to it as the responder's.
  VerdictBytes reflected{};
  std::copy(proof.begin(), proof.begin() + 32, reflected.begin() + 8);
  EXPECT_EQ(CheckVerdict("secret", e.client, e.server, reflected).code(), absl::StatusCode::kUnauthenticated);
}

TEST(Verdict, ProvesTheResponder) {
  Exchange e = MakeExchange();
  EXPECT_TRUE(
      CheckVerdict("secret", e.client, e.server, MakeVerdict(DoorAnswer::kAccepted, "secret", e.client, e.server))
          .ok());
  EXPECT_EQ(CheckVerdict("secret", e.client, e.server, MakeVerdict(DoorAnswer::kAccepted, "other", e.client, e.server))
                .code(),
            absl::StatusCode::kUnauthenticated);
  auto refused =
      CheckVerdict("secret", e.client, e.server, MakeVerdict(DoorAnswer::kTokenWrong, "secret", e.client, e.server));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_NE(refused.message().find("different tokens"), absl::string_view::npos) << refused;
}

TEST(FrameSeal, IsOfOneFrameOneSideOneConnectionAndOneTurn) {
  const Exchange e = MakeExchange(), other = MakeExchange();
  auto first = [](FrameSeal seal, SealedBy side, std::string_view frame) { return seal.Next(side, frame); };
  const FrameSeal seal(2, "secret", e.client, e.server);
  const std::string right = first(seal, SealedBy::kProber, "frame");
  EXPECT_EQ(seal.size(), 32u);
  EXPECT_EQ(right.size(), 32u);
  EXPECT_TRUE(FrameSeal::Same(right, first(FrameSeal(2, "secret", e.client, e.server), SealedBy::kProber, "frame")));
  FrameSeal later = seal;
  (void)later.Next(SealedBy::kProber, "another");
  for (const std::string& foreign :
       {first(seal, SealedBy::kProber, "frams"), first(seal, SealedBy::kResponder, "frame"),
        first(FrameSeal(2, "Secret", e.client, e.server), SealedBy::kProber, "frame"),
        first(FrameSeal(2, "secret", other.client, e.server), SealedBy::kProber, "frame"),
        first(FrameSeal(2, "secret", e.client, other.server), SealedBy::kProber, "frame"),
        later.Next(SealedBy::kProber, "frame"), std::string()})
    EXPECT_FALSE(FrameSeal::Same(right, foreign));
  EXPECT_EQ(first(FrameSeal(1, "secret", e.client, e.server), SealedBy::kProber, "frame"), "");
  EXPECT_EQ(FrameSeal().size(), 0u);
}

}  // namespace
}  // namespace netsense
