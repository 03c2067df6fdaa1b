// Untrusted: a whole connection to an engine's door, on loopback: of a stranger, or of a peer that has the token and
// says nonsense afterwards. Orders are left out: they would have the responder call on whatever address stands in them
// (order.cc has their messages). What must hold: a stranger gets no more bytes than he sent, and is never let in.
#include "engine/responder.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/deadlines.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/handshake/prove_token.h"
#include "base/socket.h"
#include "tests/fuzz/harness.h"
#include "transports/frame.h"
#include "transports/tcp/factory.h"

namespace netsense::fuzz {
namespace {

const std::string kToken = "the token of this cluster";
constexpr size_t kMostRead = 1 << 20;

// For as long as the program runs, and gone before what its threads log to.
struct Node {
  spdlog::logger* log = spdlog::default_logger_raw();
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
    static Node node;
    return node;
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
  absl::StatusOr<FrameSeal> Prove() {
    auto proven = ProveToken(fd_.get(), kToken, Soon(), {});
    if (!proven.ok()) return proven.status();
    return std::move(proven->seal);
  }
  bool Read(FrameSeal* seal, google::protobuf::MessageLite* message) {
    const absl::Status read = ReadSealed(fd_.get(), message, SealedBy::kResponder, seal, Soon(), {});
    MustHold(!absl::IsUnauthenticated(read), "an answer is bound to the proof");
    return read.ok();
  }

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
  auto seal = visitor.Prove();
  MustHold(seal.ok(), "who has the token is let in");
  const size_t length = input.Byte();
  const std::string request(input.Take(length));
  v1::OpenSession parsed;
  if (parsed.ParseFromString(request) && parsed.purpose() == v1::SESSION_PURPOSE_ORDER) return;
  const uint8_t how = input.Byte();
  const bool too_long = how == 0xff, forged = how == 0xfe;
  const std::string frame = FramePrefix(too_long ? 1 << 20 : request.size()) + request;
  std::string shown = seal->Next(SealedBy::kProber, frame);
  if (forged) shown.back() = static_cast<char>(shown.back() ^ 1);
  v1::SessionReply reply;
  const bool answered = visitor.Send(frame + shown) && visitor.Read(&*seal, &reply);
  MustHold(!answered || !(too_long || forged), "a request that the proof does not cover is not answered");
  if (answered && reply.has_grant()) SendFrames(visitor, reply.grant().session_nonce(), input);
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
