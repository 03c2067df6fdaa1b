// Untrusted: a whole connection to an engine's door, on loopback: of a stranger, or of a peer that has the token and
// says nonsense afterwards. Orders are left out: they would have the responder call on whatever address stands in them
// (order.cc has their messages). What must hold: a stranger gets no more bytes than he sent, and is never let in.
#include "engine/responder.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/deadlines.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/socket.h"
#include "tests/fuzz/harness.h"
#include "transports/frame.h"
#include "transports/tcp/factory.h"

namespace netsense::fuzz {
namespace {

const std::string kToken = "the token of this cluster";
constexpr size_t kMostRead = 1 << 20;

// For as long as the program runs.
struct Node {
  TransportRegistry transports{Tcp()};
  PortGate gate{{.unlimited = true}};
  std::unique_ptr<Responder> responder = [this] {
    auto started = Responder::Start({.door = {.token = kToken}}, &transports, &gate);
    MustHold(started.ok(), "there is a responder");
    return *std::move(started);
  }();

  static std::vector<std::unique_ptr<Transport>> Tcp() {
    std::vector<std::unique_ptr<Transport>> tcp;
    tcp.push_back(MakeTcpTransport());
    return tcp;
  }
  static Node& Get() {
    static auto* const node = new Node();
    return *node;
  }
};

MonotonicTime Soon() { return MonotonicNow() + deadlines::kHandshake(); }

// What somebody sends, and how much he gets for it.
class Visitor {
 public:
  Visitor() {
    auto connected = ConnectTcp("127.0.0.1", Node::Get().responder->port(), {}, Soon(), {});
    MustHold(connected.ok(), "the door is open");
    fd_ = *std::move(connected);
    ResetOnClose(fd_.get());  // no port stays taken behind a million visits
  }

  bool Send(std::string_view bytes) {
    sent_ += bytes.size();
    return WriteAll(fd_.get(), {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, Soon(), {}).ok();
  }
  bool Read(std::span<uint8_t> into) { return ReadExactly(fd_.get(), into, Soon(), {}).ok(); }
  bool Read(google::protobuf::MessageLite* message) { return ReadFrame(fd_.get(), message, Soon(), {}).ok(); }

  // Says no more, and counts what still comes.
  size_t Leave() {
    shutdown(fd_.get(), SHUT_WR);
    size_t read = 0;
    for (char bytes[4096]; read < kMostRead;) {
      if (!WaitReady(fd_.get(), POLLIN, Soon(), {}).ok()) MustHold(false, "a connection that is over ends");
      const ssize_t n = recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
      if (n <= 0) break;
      read += static_cast<size_t>(n);
    }
    return read;
  }
  size_t sent() const { return sent_; }

 private:
  UniqueFd fd_;
  size_t sent_ = 0;
};

void Stranger(Input& input) {
  const uint64_t before = Node::Get().responder->counters().door.authenticated;
  Visitor visitor;
  const bool hello = input.Coin();  // a right one, and whatever follows
  if (hello) {
    const ClientHelloBytes bytes = EncodeClientHello({.has_token = true}, {});
    (void)visitor.Send({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  (void)visitor.Send(input.Rest());
  MustHold(visitor.Leave() <= visitor.sent(), "a stranger gets no more than he sent");
  MustHold(Node::Get().responder->counters().door.authenticated == before, "no stranger is let in");
}

bool Prove(Visitor& visitor) {
  const ClientHelloBytes client = EncodeClientHello({.has_token = true}, {});
  ServerHelloBytes server{};
  VerdictBytes verdict{};
  if (!visitor.Send({reinterpret_cast<const char*>(client.data()), client.size()}) || !visitor.Read(server))
    return false;
  const ClientProofBytes proof = MakeClientProof(kToken, client, server);
  if (!visitor.Send({reinterpret_cast<const char*>(proof.data()), proof.size()}) || !visitor.Read(verdict))
    return false;
  return CheckVerdict(kToken, client, server, verdict).ok();
}

// Kind, payload length, whether it announces another one, payload.
void SendFrames(Visitor& visitor, uint64_t nonce, Input& input) {
  for (uint64_t sequence = 1; !input.empty(); ++sequence) {
    FrameHeader header{.kind = static_cast<FrameKind>(input.Byte()), .nonce = nonce, .sequence = sequence};
    const uint32_t length = uint32_t{input.Byte()} << 8 | input.Byte();
    const bool lies = input.Byte() == 0xff;
    const std::string_view payload = input.Take(length);
    std::vector<uint8_t> frame;
    ComposeFrame(header, {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()}, &frame);
    if (lies) {
      header.payload_bytes = length << 16;
      EncodeHeader(header, frame.data());
    }
    if (!visitor.Send({reinterpret_cast<const char*>(frame.data()), frame.size()})) return;
  }
}

void Peer(Input& input) {
  Visitor visitor;
  MustHold(Prove(visitor), "who has the token is let in");
  const size_t length = input.Byte();
  const std::string request(input.Take(length));
  v1::OpenSession parsed;
  if (parsed.ParseFromString(request) && parsed.purpose() == v1::SESSION_PURPOSE_ORDER) return;
  const std::string prefix = {0, 0, static_cast<char>(input.Byte() == 0xff ? 1 : 0), static_cast<char>(request.size())};
  v1::SessionReply reply;
  if (visitor.Send(prefix + request) && prefix[2] == 0 && visitor.Read(&reply) && reply.has_grant())
    SendFrames(visitor, reply.grant().session_nonce(), input);
  (void)visitor.Leave();
}

void Run(std::string_view bytes) {
  Input input(bytes);
  if (input.Coin())
    Peer(input);
  else
    Stranger(input);
}

const Harness kHarness("responder", Run);

}  // namespace
}  // namespace netsense::fuzz
