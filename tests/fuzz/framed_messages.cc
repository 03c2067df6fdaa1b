// Untrusted: what a peer sends over a connection that has passed the hellos: length-prefixed messages. What must hold:
// what is read can be framed again and is read the same; nothing longer than the limit is read.
#include <sys/socket.h>

#include <array>
#include <memory>

#include "base/deadlines.h"
#include "base/handshake/framing.h"
#include "base/unique_fd.h"
#include "netsense/order.pb.h"
#include "netsense/session.pb.h"
#include "netsense/ucx.pb.h"
#include "netsense/verbs.pb.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/messages.h"

namespace netsense::fuzz {
namespace {

std::unique_ptr<google::protobuf::Message> Make(uint8_t kind) {
  switch (kind % 6) {
    case 0:
      return std::make_unique<v1::OpenSession>();
    case 1:
      return std::make_unique<v1::SessionReply>();
    case 2:
      return std::make_unique<v1::Order>();
    case 3:
      return std::make_unique<v1::OrderAnswer>();
    case 4:
      return std::make_unique<v1::VerbsEndpoint>();
    default:
      return std::make_unique<v1::UcxAddress>();
  }
}

// The read end of a connection over which `bytes` came, and then its end.
UniqueFd Connection(std::string_view bytes) {
  std::array<int, 2> ends{};
  MustHold(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
           "there is a socket pair");
  UniqueFd reads(ends[0]), writes(ends[1]);
  (void)send(writes.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);  // what does not fit is cut off
  return reads;
}

MonotonicTime Soon() { return MonotonicNow() + deadlines::kHandshake(); }

void Run(std::string_view bytes) {
  Input input(bytes);
  const uint8_t kind = input.Byte();
  const UniqueFd connection = Connection(input.Take(size_t{2} * kMaxFrameBytes));
  while (true) {
    const auto message = Make(kind);
    if (!ReadFrame(connection.get(), message.get(), Soon(), {}).ok()) return;
    const auto frame = EncodeFrame(*message);
    MustHold(frame.ok() == (message->ByteSizeLong() <= kMaxFrameBytes), "what fits is framed, and nothing else");
    if (!frame.ok()) continue;
    const auto again = Make(kind);
    MustHold(ReadFrame(Connection(*frame).get(), again.get(), Soon(), {}).ok(), "what was framed can be read");
    MustHold(Canonical(*message) == Canonical(*again), "what was framed is read the same");
  }
}

const Harness kHarness("framed_messages", Run);

}  // namespace
}  // namespace netsense::fuzz
